package config

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

const usage = "usage: gowsgi [flags] MODULE[:VARIABLE]"

// Columns of --help: where the text begins and where it ends.
const (
	helpIndent = 28
	helpWidth  = 80
)

// Help writes the text of --help: every flag, by section. Errors of w are not
// reported.
func Help(w io.Writer) {
	fmt.Fprintf(w, "%s\n", usage)
	section := ""
	for i := range table {
		s := &table[i]
		if s.fileOnly() {
			continue
		}
		if s.section != section {
			section = s.section
			fmt.Fprintf(w, "\n%s:\n", section)
		}
		s.writeHelp(w)
	}
	fmt.Fprintf(w, "\nArguments are also read from %s and %s, in that\norder, before those of the command line.\n",
		argumentVariables[0], argumentVariables[1])
}

func (s *setting) writeHelp(w io.Writer) {
	head := "  " + s.helpFlags()
	if len(head) > helpIndent-2 {
		fmt.Fprintf(w, "%s\n", head)
		head = ""
	}
	for _, line := range wrap(s.helpText(), helpWidth-helpIndent) {
		fmt.Fprintf(w, "%-*s%s\n", helpIndent, head, line)
		head = ""
	}
}

// helpFlags is the left column: "-w, --workers INT".
func (s *setting) helpFlags() string {
	var parts []string
	if s.short != "" {
		parts = append(parts, "-"+s.short)
	}
	for _, name := range s.names() {
		parts = append(parts, "--"+name)
	}
	meta := s.meta
	if s.bare != "" {
		meta = "[" + meta + "]"
	}
	return strings.TrimSpace(strings.Join(parts, ", ") + " " + meta)
}

// helpText is the right column: the doc, the variable, and the default with its unit.
func (s *setting) helpText() string {
	text := s.doc
	if s.env != "" {
		text += " Environment: " + s.env + "."
	}
	if s.defaults != nil {
		text += " [" + strings.TrimSpace(strings.Join(s.defaults, ", ")+" "+s.unit) + "]"
	}
	return text
}

// wrap breaks text between words into lines of at most width bytes.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}

// Print writes every setting, its value and where it comes from, sorted by name,
// one a line, in the form of gunicorn's --print-config with the source added as a
// comment. Errors of w are not reported.
func (cmd *Command) Print(w io.Writer) {
	var rows []*setting
	width, valueWidth := 0, 0
	for i := range table {
		if s := &table[i]; !s.isAction() {
			rows = append(rows, s)
			width = max(width, len(s.name))
			valueWidth = min(printColumn, max(valueWidth, len(pyStr(s.value(cmd.Config)))))
		}
	}
	slices.SortFunc(rows, func(a, b *setting) int { return cmp.Compare(a.name, b.name) })
	for _, s := range rows {
		fmt.Fprintf(w, "%-*s = %-*s  # %s\n", width, s.name, valueWidth, pyStr(s.value(cmd.Config)), cmd.origins[s])
	}
}

// printColumn bounds how far to the right the sources are moved by long values.
const printColumn = 40

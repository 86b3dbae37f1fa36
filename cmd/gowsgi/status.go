package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"gowsgi/internal/status"
)

// Exit codes of the status command.
const (
	statusGood = 0
	// statusBad: no worker serves, the last reload failed, or workers do not start.
	statusBad = 1
	// statusUnknown: there is no master to ask, or the command is wrong.
	statusUnknown = 2
)

const statusUsage = `usage: gowsgi status [--pid PID | --pidfile FILE] [--json]

Shows what a running server is doing. Without --pid or --pidfile it is the only
one that this user may look at. Exit code 0: at least one worker is ready and the
last reload succeeded; 1: not so; 2: there is no such server.

`

// runStatus is the command "gowsgi status ARGS...".
func runStatus(args []string, stdout, stderr io.Writer) int {
	flags := pflag.NewFlagSet("gowsgi status", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	pid := flags.Int("pid", 0, "the process id of the master")
	file := flags.StringP("pidfile", "p", "", "the file that holds it")
	asJSON := flags.Bool("json", false, "print one JSON object")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		fmt.Fprint(stdout, statusUsage, flags.FlagUsages())
		return statusGood
	case err == nil && flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err == nil {
		*pid, err = whichMaster(*pid, *file)
	}
	var report *status.Report
	if err == nil {
		report, err = status.Read(*pid)
	}
	if err != nil {
		fmt.Fprintf(stderr, "gowsgi status: %v\n", err)
		return statusUnknown
	}
	if *asJSON {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		err = enc.Encode(report)
	} else {
		report.Print(stdout)
	}
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "gowsgi status: %v\n", err)
		return statusUnknown
	case !report.Healthy():
		return statusBad
	}
	return statusGood
}

// whichMaster returns the pid that was given, or is in the file, or is that of the
// only master there is.
func whichMaster(pid int, file string) (int, error) {
	switch {
	case pid != 0 && file != "":
		return 0, errors.New("--pid and --pidfile exclude each other")
	case pid != 0:
		return pid, nil
	case file == "":
		return status.Find()
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 0 {
		return 0, fmt.Errorf("%s holds no process id", file)
	}
	return pid, nil
}

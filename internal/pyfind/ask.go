package pyfind

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// script prints the facts as one line of JSON. It runs on every Python from 2.7
// on, so that an old one can be named.
//
//go:embed facts.py
var script string

// facts is what an interpreter says of itself.
type facts struct {
	Implementation string `json:"implementation"` // "cpython"
	Version        string `json:"version"`        // "3.11.7"
	VersionInfo    [2]int `json:"version_info"`
	Executable     string `json:"executable"`
	BasePrefix     string `json:"base_prefix"`
	Libc           string `json:"libc"` // "glibc 2.36", "" for another C library
	// The rest are variables of sysconfig; "" for those that are not set.
	LDLibrary  string `json:"ldlibrary"`
	InstSOName string `json:"instsoname"`
	LibDir     string `json:"libdir"`
	Multiarch  string `json:"multiarch"`
	ABIFlags   string `json:"abiflags"`
}

// ask runs the interpreter at path and returns what it says.
func (f *finder) ask(ctx context.Context, path string) (*facts, error) {
	timed, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(timed, path, "-c", script)
	// A version manager's shim may look for its settings in the current directory.
	cmd.Dir = f.dir
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	// A shim is a script: its children have to go with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	// What it has left behind must not keep its output open for longer; what it has
	// written itself is read in no time, unless the machine is busy.
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case timed.Err() != nil:
		return nil, notPython(path, fmt.Sprintf("it did not answer within %v", f.timeout), stderr.String())
	case err != nil:
		return nil, notPython(path, err.Error(), stderr.String())
	}
	v := new(facts)
	if err := json.Unmarshal([]byte(lastOutput(stdout.String())), v); err != nil || v.Version == "" {
		return nil, notPython(path, "it did not answer", stderr.String())
	}
	// The interpreter knows better what it is when path is a shim.
	if !filepath.IsAbs(v.Executable) {
		v.Executable = path
	}
	return v, nil
}

// lastOutput returns the last line: sitecustomize may print others before it.
func lastOutput(out string) string {
	out = strings.TrimSpace(out)
	return out[strings.LastIndexByte(out, '\n')+1:]
}

func notPython(path, why, stderr string) error {
	text := fmt.Sprintf("%s does not work as a Python interpreter: %s", path, why)
	if line := lastLine(stderr); line != "" {
		text += fmt.Sprintf(": %q", line)
	}
	return &Error{Kind: ErrNotPython, Path: path, Text: text + "; pass another with --python"}
}

// check refuses interpreters that workers cannot load.
func (v *facts) check() error {
	refuse := func(why string) error {
		return &Error{Kind: ErrUnsupported, Path: v.Executable,
			Text: fmt.Sprintf("%s is %s; pass another interpreter with --python", v.Executable, why)}
	}
	major, minor := v.VersionInfo[0], v.VersionInfo[1]
	switch {
	case strings.EqualFold(v.Implementation, "pypy"):
		return refuse("PyPy " + v.Version + ", and gowsgi loads CPython only")
	case !strings.EqualFold(v.Implementation, "cpython"):
		return refuse(v.Implementation + ", and gowsgi loads CPython only")
	case major < oldest[0] || major == oldest[0] && minor < oldest[1]:
		return refuse(fmt.Sprintf("Python %s, and gowsgi needs %d.%d or later", v.Version, oldest[0], oldest[1]))
	}
	return nil
}

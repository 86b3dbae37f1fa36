package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"gowsgi/internal/status"
	"gowsgi/protocol/ipc"
)

const stacksUsage = `usage: gowsgi stacks [PID]

Has the workers of a running server, or the worker PID, write the stacks of all
their Python threads to the error log, also when they hang. They go on. Without
PID, of a master or a worker, it is the only server that this user may look at.
Exit code 0: they were asked; 2: there is no such process.
`

// runStacks is the command "gowsgi stacks ARGS...".
func runStacks(args []string, stdout, stderr io.Writer) int {
	flags := pflag.NewFlagSet("gowsgi stacks", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	if errors.Is(err, pflag.ErrHelp) {
		fmt.Fprint(stdout, stacksUsage)
		return statusGood
	}
	if err == nil && flags.NArg() > 1 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(1))
	}
	pid := 0
	if err == nil && flags.NArg() == 1 {
		if pid, err = strconv.Atoi(flags.Arg(0)); err != nil || pid <= 0 {
			err = fmt.Errorf("%q is no process id", flags.Arg(0))
		}
	}
	var workers []int
	if err == nil {
		workers, err = whichWorkers(pid)
	}
	if err == nil {
		for _, worker := range workers {
			err = errors.Join(err, askForStacks(worker, stdout))
		}
	}
	if err != nil {
		fmt.Fprintf(stderr, "gowsgi stacks: %v\n", err)
		return statusUnknown
	}
	return statusGood
}

// whichWorkers returns the workers of the master pid, or pid if it is one; 0 is the
// only master there is.
func whichWorkers(pid int) ([]int, error) {
	if pid == 0 {
		var err error
		if pid, err = status.Find(); err != nil {
			return nil, err
		}
	}
	report, err := status.Read(pid)
	if err != nil {
		// A worker is its master's child.
		text, ppidErr := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		parent, ok := statusField(string(text), "PPid:", 10)
		if ppidErr != nil || !ok {
			return nil, err
		}
		if report, ppidErr = status.Read(int(parent)); ppidErr != nil || !slices.Contains(pids(report), pid) {
			return nil, fmt.Errorf("process %d: neither a gowsgi master nor one of its workers", pid)
		}
		return []int{pid}, nil
	}
	if len(report.Workers) == 0 {
		return nil, fmt.Errorf("the server of process %d has no workers", pid)
	}
	return pids(report), nil
}

func pids(r *status.Report) (list []int) {
	for _, w := range r.Workers {
		list = append(list, w.PID)
	}
	return list
}

// askForStacks sends the signal to a worker that has a handler for it: one without
// is not that far yet, and would die.
func askForStacks(pid int, stdout io.Writer) error {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return err
	}
	caught, ok := statusField(string(text), "SigCgt:", 16)
	if !ok || caught>>(ipc.StacksSignal-1)&1 == 0 {
		return fmt.Errorf("worker %d has not started Python yet", pid)
	}
	p, err := os.FindProcess(pid)
	if err == nil {
		err = p.Signal(ipc.StacksSignal)
	}
	if err != nil {
		return fmt.Errorf("worker %d: %w", pid, err)
	}
	fmt.Fprintf(stdout, "worker %d writes its stacks to the error log\n", pid)
	return nil
}

// statusField returns a number from a /proc/PID/status.
func statusField(text, key string, base int) (uint64, bool) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(rest), base, 64)
			return n, err == nil
		}
	}
	return 0, false
}

package worker

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"gowsgi/protocol/ipc"
	"gowsgi/worker/python"
)

// reportModules has a Python thread look at sys.modules once a second, and tells
// the master the files that were imported (gunicorn: reload). The caller holds the
// GIL. The goroutine lives as long as the process.
func (p *process) reportModules() error {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return os.NewSyscallError("pipe2", err)
	}
	go func() {
		buf, rest := make([]byte, 64<<10), ""
		for {
			n, err := unix.Read(fds[0], buf)
			if err == unix.EINTR {
				continue
			}
			if n <= 0 {
				return
			}
			lines := strings.Split(rest+string(buf[:n]), "\n")
			rest = lines[len(lines)-1]
			if lines = lines[:len(lines)-1]; len(lines) > 0 {
				p.parent.tell(ipc.Message{Kind: ipc.KindFiles, Files: lines})
			}
		}
	}()
	return python.ReportModules(fds[1])
}

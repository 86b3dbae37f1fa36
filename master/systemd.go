package master

import (
	"fmt"
	"strconv"
)

// systemdFDs returns the sockets systemd passed (sd_listen_fds(3)), none if it
// passed none or meant another process.
func systemdFDs(getenv func(string) string, pid int) ([]int, error) {
	const first = 3 // SD_LISTEN_FDS_START
	if getenv("LISTEN_PID") != strconv.Itoa(pid) {
		return nil, nil
	}
	text := getenv("LISTEN_FDS")
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return nil, fmt.Errorf("invalid LISTEN_FDS '%s'", text)
	}
	var fds []int
	for i := range n {
		fds = append(fds, first+i)
	}
	return fds, nil
}

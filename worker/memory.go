package worker

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"gowsgi/protocol/ipc"
)

// memoryEvery is how often the worker's memory is looked at, if it is limited.
const memoryEvery = time.Second

// watchMemory asks once to be replaced when the worker needs more memory than
// max_worker_memory. One that does from the start would be followed by others
// like it, one after the other for ever; it only says so.
func (p *process) watchMemory() {
	limit := p.cfg.MaxWorkerMemory
	if used := memory(limit); used > limit {
		p.log.Warn().Int64("memory", used).
			Msgf("The application alone needs %d bytes of memory, more than max_worker_memory; the limit is not applied", used)
		return
	}
	for range time.Tick(memoryEvery) {
		if used := memory(limit); used > limit {
			p.parent.tell(ipc.Message{Kind: ipc.KindRecycle, Memory: used})
			return
		}
	}
}

// memory returns the proportional set size of this process in bytes, in which a
// page that n processes share counts as a part of n (proc(5), smaps_rollup). To
// know it the kernel visits every page, so while the resident set is not above
// limit, and the other one cannot be either, that is returned.
func memory(limit int64) int64 {
	resident := residentSet()
	if resident <= limit {
		return resident
	}
	rollup, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		return resident // a kernel before 4.14
	}
	for line := range bytes.Lines(rollup) {
		if rest, ok := bytes.CutPrefix(line, []byte("Pss:")); ok {
			text, _ := bytes.CutSuffix(bytes.TrimSpace(rest), []byte(" kB"))
			if kb, err := strconv.ParseInt(string(text), 10, 64); err == nil {
				return kb << 10
			}
		}
	}
	return resident
}

// residentSet returns the resident set size of this process in bytes, 0 if it is
// not known.
func residentSet() int64 {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(statm)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

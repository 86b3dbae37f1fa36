package master

import (
	"errors"
	"os"

	"gowsgi/protocol/ipc"
)

// minSlots is the least number of slots of a scoreboard. Unused ones cost
// nothing, and TTIN should not need a new board.
const minSlots = 64

// board is a scoreboard and the use of its slots. The master makes a new one
// when workers of another shape (more threads) or more of them than it holds
// are to be started; the old one lives until its last worker has gone.
type board struct {
	sb    *ipc.Scoreboard
	file  *os.File
	used  []bool
	inUse int
	// current says that new workers are still given slots of this board.
	current bool
}

// newBoard makes a board for that many workers: room for a whole generation
// beside the old one, twice over for workers that take long to drain.
func newBoard(workers, threads int) (*board, error) {
	slots := max(minSlots, 4*workers)
	sb, file, err := ipc.NewScoreboard(slots, threads)
	if err != nil {
		return nil, err
	}
	return &board{sb: sb, file: file, used: make([]bool, slots), current: true}, nil
}

// take returns a cleared slot, or false if all are used.
func (b *board) take() (int, bool) {
	for i, used := range b.used {
		if !used {
			b.used[i] = true
			b.inUse++
			b.sb.Clear(i)
			return i, true
		}
	}
	return 0, false
}

// release gives a slot back; the worker must have been reaped.
func (b *board) release(slot int) error {
	b.used[slot] = false
	b.inUse--
	return b.closeUnused()
}

// retire says that no new worker gets a slot of this board.
func (b *board) retire() error {
	b.current = false
	return b.closeUnused()
}

func (b *board) closeUnused() error {
	if b.current || b.inUse > 0 {
		return nil
	}
	return errors.Join(b.sb.Close(), b.file.Close())
}

// slot returns a free slot on a board that fits workers with that many threads.
func (m *Master) slot(threads int) (*board, int, error) {
	threads = max(threads, 1)
	if m.board != nil && m.board.sb.Threads() == threads {
		if i, ok := m.board.take(); ok {
			return m.board, i, nil
		}
	}
	fresh, err := newBoard(max(m.target, len(m.workers)), threads)
	if err != nil {
		return nil, 0, err
	}
	if m.board != nil {
		if err := m.board.retire(); err != nil {
			m.log.Warn().Err(err).Msg("closing a scoreboard")
		}
	}
	m.board = fresh
	i, _ := fresh.take()
	return fresh, i, nil
}

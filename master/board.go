package master

import (
	"errors"
	"os"
	"slices"

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
	queue *queue
	used  []bool
	inUse int
	// current says that new workers are still given slots of this board.
	current bool
}

// newBoard makes a board for that many workers: room for a whole generation
// beside the old one, twice over for workers that take long to drain.
func newBoard(workers, threads int, q *queue) (*board, error) {
	slots := max(minSlots, 4*workers)
	sb, file, err := ipc.NewScoreboard(slots, threads)
	if err != nil {
		return nil, err
	}
	q.boards++
	return &board{sb: sb, file: file, queue: q, used: make([]bool, slots), current: true}, nil
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
	return errors.Join(b.sb.Close(), b.file.Close(), b.queue.release())
}

// slot returns a free slot on a board that fits workers of that generation.
func (m *Master) slot(gen *generation) (*board, int, error) {
	threads := max(gen.cfg.Threads, 1)
	q, err := m.queueFor(gen.listeners)
	if err != nil {
		return nil, 0, err
	}
	if m.board != nil && m.board.sb.Threads() == threads && m.board.queue == q {
		if i, ok := m.board.take(); ok {
			return m.board, i, nil
		}
	}
	fresh, err := newBoard(max(m.target, len(m.workers)), threads, q)
	if err != nil {
		return nil, 0, errors.Join(err, q.releaseUnused())
	}
	if m.board != nil {
		if err := m.board.retire(); err != nil {
			m.log.Warn().Err(err).Msg("closing a scoreboard")
		}
	}
	m.board = fresh
	m.tellBoards()
	i, _ := fresh.take()
	return fresh, i, nil
}

// boards returns all boards in use.
func (m *Master) boards() []*board {
	var bs []*board
	if m.board != nil {
		bs = append(bs, m.board)
	}
	for _, w := range m.workers {
		if !slices.Contains(bs, w.board) {
			bs = append(bs, w.board)
		}
	}
	return bs
}

// tellBoards tells the workers who may take their connections over: nobody, when
// the service stops or goes on on other sockets; the workers of another master,
// beside their siblings, while there are any.
func (m *Master) tellBoards() {
	moved := m.reload == nil || m.reload.proven
	for _, b := range m.boards() {
		g := b.sb.Global()
		g.SetHeirs(m.twin != nil && m.twin.serving > 0 && m.twin.queue == b.queue)
		g.SetStopping(m.stop != nil || moved && !slices.Equal(b.queue.listeners, m.gen.listeners))
	}
}

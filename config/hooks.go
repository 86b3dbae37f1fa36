package config

import (
	"slices"
	"strconv"
	"strings"
)

// hook is a function a Python configuration file may define (gunicorn: section
// Server Hooks).
type hook struct {
	name string
	// arities are the numbers of parameters it may have.
	arities []int
}

// hooks is every hook of gunicorn that gowsgi has.
var hooks = []hook{
	{"on_starting", []int{1}},
	{"on_reload", []int{1}},
	{"when_ready", []int{1}},
	{"pre_fork", []int{2}},
	{"post_fork", []int{2}},
	{"post_worker_init", []int{1}},
	{"worker_int", []int{1}},
	{"worker_abort", []int{1}},
	{"pre_exec", []int{1}},
	{"pre_request", []int{2}},
	{"post_request", []int{2, 3, 4}},
	{"child_exit", []int{2}},
	{"worker_exit", []int{2}},
	{"nworkers_changed", []int{3}},
	{"on_exit", []int{1}},
}

// hookNamed returns the hook of that name, or nil.
func hookNamed(name string) *hook {
	for i := range hooks {
		if hooks[i].name == name {
			return &hooks[i]
		}
	}
	return nil
}

// takes reports whether a function of that arity can be the hook; -1 can.
func (h *hook) takes(arity int) bool { return arity < 0 || slices.Contains(h.arities, arity) }

// parameters says how many parameters the hook may have: "2, 3 or 4".
func (h *hook) parameters() string {
	words := make([]string, len(h.arities))
	for i, n := range h.arities {
		words[i] = strconv.Itoa(n)
	}
	last := words[len(words)-1]
	if len(words) == 1 {
		return last
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + last
}

//go:build !floor

package worker

import "gowsgi/worker/python"

// call runs the request through the application. Under the build tag floor it is
// another: see floor.go.
func (t *thread) call() python.Result { return t.py.Call(&t.req) }

// ends reports whether the application has nothing left to do for the request once its
// response is written.
func (t *thread) ends() bool { return t.py.Ends() }

//go:build !floor

package worker

import "gowsgi/worker/python"

// call runs the request through the application. Under the build tag floor it is
// another: see floor.go.
func (t *thread) call() python.Result { return t.py.Call(&t.req) }

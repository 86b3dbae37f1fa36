package main

import (
	"fmt"
	"os"
)

// runWorker is the entry of a worker process.
func runWorker() int {
	fmt.Fprintln(os.Stderr, "gowsgi: this build has no worker")
	return exitStart
}

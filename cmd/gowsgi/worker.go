package main

import "gowsgi/worker"

// runWorker is the entry of a worker process.
func runWorker() int { return worker.Run() }

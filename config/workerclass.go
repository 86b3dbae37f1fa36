package config

import (
	"errors"
	"strings"
)

// workerClasses are the names by which gunicorn knows the two classes there are:
// its short ones, the paths of the classes, and the entry points of its package.
var workerClasses = map[string]string{
	"sync":                                  "sync",
	"gunicorn.workers.sync.SyncWorker":      "sync",
	"egg:gunicorn#sync":                     "sync",
	"gthread":                               "gthread",
	"gunicorn.workers.gthread.ThreadWorker": "gthread",
	"egg:gunicorn#gthread":                  "gthread",
}

// The words by which the classes of others are known, wherever in a name.
var (
	greenClasses = []string{"gevent", "eventlet", "tornado", "meinheld"}
	asgiClasses  = []string{"asgi", "uvicorn", "aiohttp", "hypercorn", "daphne"}
)

// parseWorkerClass takes the two classes there are. Others are refused with what to
// do instead.
func parseWorkerClass(s string) (string, error) {
	if class, ok := workerClasses[s]; ok {
		return class, nil
	}
	name := strings.ToLower(s)
	named := func(words []string) bool {
		for _, w := range words {
			if strings.Contains(name, w) {
				return true
			}
		}
		return false
	}
	switch {
	case named(greenClasses):
		return "", errors.New("event loops in Python and green threads are not supported: use gthread with --threads, as many as requests shall run at a time")
	case named(asgiClasses):
		return "", errors.New("only WSGI applications are supported: use sync or gthread, or wrap the application (asgiref, a2wsgi)")
	case strings.ContainsAny(s, ".:#"):
		return "", errors.New("worker classes of one's own are not supported: use sync or gthread, and hooks for what the class adds")
	}
	return "", errors.New("use sync or gthread")
}

// Package pyfind finds the Python interpreter of the workers, and says how it is used:
// whether there is a shared libpython to load, or it has to host the server. It runs
// in the master, which loads no Python itself: it asks the interpreter once, as a
// child process, where its parts are.
package pyfind

// Package pyfind finds the Python interpreter whose libpython the workers load,
// and that library. It runs in the master, which loads no Python itself: it asks
// the interpreter once, as a child process, where its parts are.
package pyfind

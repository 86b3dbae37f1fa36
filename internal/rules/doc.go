// Package rules has no code: its tests keep rules about the source that the
// compiler does not, such as which package may import which.
package rules

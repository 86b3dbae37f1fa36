package proxy

import "bytes"

// Role is what a header field of a trusted peer says.
type Role uint8

// Roles.
const (
	// NoRole: nothing the server itself wants to know.
	NoRole Role = iota
	// Scheme: whether the client spoke https.
	Scheme
	// RequestStart: when the proxy got the request.
	RequestStart
	// ScriptName: where the application is mounted.
	ScriptName
	// Forwarder: nothing to the server, but it reaches the application although
	// there is an underscore in its name. So does ScriptName.
	Forwarder
)

// Fields finds the header fields that have a role. The zero value finds none. It
// is made once and then read by any number of goroutines.
type Fields struct {
	// lengths has a bit for each length a name may have, the last one for all that
	// are longer: most fields of a request are told by that alone.
	lengths uint64
	rules   []rule
}

type rule struct {
	name  []byte
	role  Role
	value string
}

const longest = 63

// Add gives the field of that name, case ignored, a role. value is what Find shall
// return with it.
func (f *Fields) Add(name string, role Role, value string) {
	f.lengths |= 1 << min(len(name), longest)
	f.rules = append(f.rules, rule{[]byte(name), role, value})
}

// Find returns the role of the field of that name.
func (f *Fields) Find(name []byte) (Role, string) {
	if f.lengths>>min(len(name), longest)&1 == 0 {
		return NoRole, ""
	}
	return f.lookUp(name)
}

func (f *Fields) lookUp(name []byte) (Role, string) {
	for i := range f.rules {
		if r := &f.rules[i]; len(r.name) == len(name) && bytes.EqualFold(r.name, name) {
			return r.role, r.value
		}
	}
	return NoRole, ""
}

package config

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
)

// User is a parsed user setting. What the user database says of it is looked up
// once, when the settings are loaded, so that workers need no access to it.
type User struct {
	// Text is the setting as given, "" for none.
	Text string `json:"text,omitempty"`
	UID  int    `json:"uid"`
	// GID is the user's own group, -1 for a number the database does not know.
	GID int `json:"gid"`
	// Groups are all groups the user is a member of.
	Groups []int `json:"groups,omitempty"`
}

// Group is a parsed group setting.
type Group struct {
	// Text is the setting as given, "" for none.
	Text string `json:"text,omitempty"`
	GID  int    `json:"gid"`
}

// Identity is whom a process runs as.
type Identity struct {
	UID, GID int
	// Groups are the supplementary groups.
	Groups []int
}

// Identity returns whom workers are to run as; ok is false if nothing was asked
// for and they keep the master's identity.
//
// Two things are stricter than in gunicorn, whose workers keep the group 0 of a
// root master when only user is set, and always root's supplementary groups:
// here the group is then the user's own, and the supplementary ones are dropped.
func (c *Config) Identity() (id Identity, ok bool) {
	id = Identity{UID: os.Geteuid(), GID: os.Getegid()}
	if c.User.Text != "" {
		id.UID = c.User.UID
		if c.User.GID >= 0 {
			id.GID = c.User.GID
		}
	}
	if c.Group.Text != "" {
		id.GID = c.Group.GID
	}
	id.Groups = []int{id.GID}
	if c.InitGroups {
		for _, g := range c.User.Groups {
			if !slices.Contains(id.Groups, g) {
				id.Groups = append(id.Groups, g)
			}
		}
	}
	return id, c.User.Text != "" || c.Group.Text != ""
}

// Differs reports whether a process that is what the calling one is would have
// to change to become id.
func (id Identity) Differs() bool {
	if id.UID != os.Geteuid() || id.GID != os.Getegid() {
		return true
	}
	// Only root can change its groups; for others those they have are right.
	if os.Geteuid() != 0 {
		return false
	}
	have, err := os.Getgroups()
	if err != nil {
		return true
	}
	slices.Sort(have)
	return !slices.Equal(slices.Compact(have), slices.Sorted(slices.Values(id.Groups)))
}

// maxID is the largest user or group number: -1 stands for "unchanged" in the
// system calls.
const maxID = 1<<32 - 2

// parseUser refuses an empty text, as gunicorn does: who was to be named must not
// become root.
func parseUser(s string) (User, error) {
	u := User{Text: s, GID: -1}
	var found *user.User
	if isNumber(s) {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil || n > maxID {
			return User{}, fmt.Errorf("must not be more than %d", maxID)
		}
		u.UID = int(n)
		if found, err = user.LookupId(s); err != nil {
			return u, nil // a number needs no name
		}
	} else {
		var err error
		if found, err = user.Lookup(s); err != nil {
			return User{}, noSuch("user", s, err)
		}
	}
	u.UID, _ = strconv.Atoi(found.Uid)
	u.GID, _ = strconv.Atoi(found.Gid)
	groups, err := found.GroupIds()
	if err != nil {
		return User{}, fmt.Errorf("groups of user %s: %w", quote(s), err)
	}
	for _, g := range groups {
		if n, err := strconv.Atoi(g); err == nil {
			u.Groups = append(u.Groups, n)
		}
	}
	return u, nil
}

func parseGroup(s string) (Group, error) {
	if isNumber(s) {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil || n > maxID {
			return Group{}, fmt.Errorf("must not be more than %d", maxID)
		}
		return Group{Text: s, GID: int(n)}, nil
	}
	found, err := user.LookupGroup(s)
	if err != nil {
		return Group{}, noSuch("group", s, err)
	}
	gid, err := strconv.Atoi(found.Gid)
	return Group{Text: s, GID: gid}, err
}

func isNumber(s string) bool { return s != "" && digits(s) }

// noSuch is gunicorn's message for a name the database does not have, or what
// went wrong in asking.
func noSuch(what, name string, err error) error {
	var noUser user.UnknownUserError
	var noGroup user.UnknownGroupError
	if errors.As(err, &noUser) || errors.As(err, &noGroup) {
		return &Error{Reason: fmt.Sprintf("No such %s: %s", what, quote(name)), complete: true}
	}
	return err
}

// parseUmask parses a mode: 022 and 0o22 are octal, 18 and 0x12 the same number.
func parseUmask(s string) (int, error) {
	t := strings.TrimSpace(s)
	n, err := strconv.ParseInt(t, 0, 64)
	switch {
	case err != nil:
		return 0, &syntaxError{"int"}
	case n < 0:
		return 0, errNegative
	case n > 0o777:
		return 0, errors.New("must not be more than 0777")
	}
	return int(n), nil
}

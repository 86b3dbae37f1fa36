package config

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestIdentity(t *testing.T) {
	t.Parallel()
	uid, gid := os.Geteuid(), os.Getegid()
	known := User{Text: "app", UID: 33, GID: 34, Groups: []int{34, 50, 51}}
	for _, tt := range []struct {
		name string
		c    Config
		ok   bool
		want Identity
	}{
		{"nothing asked for", Config{}, false, Identity{uid, gid, []int{gid}}},
		{"user", Config{User: known}, true, Identity{33, 34, []int{34}}},
		{"user and group", Config{User: known, Group: Group{"x", 7}}, true, Identity{33, 7, []int{7}}},
		{"group", Config{Group: Group{"x", 7}}, true, Identity{uid, 7, []int{7}}},
		{"group 0 is a group", Config{User: known, Group: Group{"root", 0}}, true, Identity{33, 0, []int{0}}},
		{"number without a name", Config{User: User{"4242", 4242, -1, nil}}, true, Identity{4242, gid, []int{gid}}},
		{"all groups", Config{User: known, InitGroups: true}, true, Identity{33, 34, []int{34, 50, 51}}},
		{"all groups and another", Config{User: known, Group: Group{"x", 7}, InitGroups: true}, true, Identity{33, 7, []int{7, 34, 50, 51}}},
		{"all groups of nobody in particular", Config{InitGroups: true}, false, Identity{uid, gid, []int{gid}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok := tt.c.Identity()
			if ok != tt.ok || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v, want %+v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
	if (Identity{UID: uid + 1, GID: gid}).Differs() != true || (Identity{UID: uid, GID: gid + 1}).Differs() != true {
		t.Error("another user or group makes no difference")
	}
}

// Of the databases only root is sure to be in all of them.
func TestParseIdentity(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"root", "0", "00"} {
		u, err := parseUser(text)
		if err != nil || u.Text != text || u.UID != 0 || u.GID != 0 {
			t.Errorf("user %q: got %+v, %v", text, u, err)
		}
		g, err := parseGroup(text)
		if err != nil || g.Text != text || g.GID != 0 {
			t.Errorf("group %q: got %+v, %v", text, g, err)
		}
	}
	if u, err := parseUser("4000000000"); err != nil || u.UID != 4000000000 || u.GID != -1 {
		t.Errorf("got %+v, %v for a number nobody has", u, err)
	}
	for _, tt := range []struct{ args, want string }{
		{"-u no-such-user", "No such user: 'no-such-user'"},
		{"-g no-such-group", "No such group: 'no-such-group'"},
		{"--user=", "No such user: ''"},
		{"--group=", "No such group: ''"},
		{"-u 4294967295", "invalid value for user: '4294967295': must not be more than 4294967294"},
		{"-g 99999999999999999999", "must not be more than"},
		{"-m 01000", "invalid value for umask: '01000': must not be more than 0777"},
		{"-m -1", "must not be negative"},
		{"-m abc", "invalid int value"},
	} {
		_, err := Load(append(strings.Fields(tt.args), "app"), environ(nil), t.TempDir())
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.args, err, tt.want)
		}
	}
	for text, want := range map[string]int{"0": 0, "022": 18, "0o22": 18, "18": 18, "0x12": 18, "0777": 0o777} {
		if got, err := parseUmask(text); err != nil || got != want {
			t.Errorf("umask %q: got %d, %v, want %d", text, got, err, want)
		}
	}
}

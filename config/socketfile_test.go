package config

import (
	"strings"
	"testing"
)

func TestParseMode(t *testing.T) {
	t.Parallel()
	const bad = "must be an octal mode from 0001 to 0777"
	for _, tt := range []struct{ text, printed, reason string }{
		{"660", "0660", ""},
		{"0660", "0660", ""},
		{"0o660", "0660", ""},
		{"777", "0777", ""},
		{"1", "0001", ""},
		{"", "", ""},
		{"0", "", bad},
		{"1777", "", bad},
		{"668", "", bad},
		{"0x1b0", "", bad},
		{"-660", "", bad},
		{"u=rw", "", bad},
		{"0o0o660", "", bad},
	} {
		got, err := parseMode(tt.text)
		if reasonOf(err) != tt.reason || err == nil && formatMode(got) != tt.printed {
			t.Errorf("%q: got %s, %v, want %s, %s", tt.text, formatMode(got), err, tt.printed, tt.reason)
		}
	}
}

// TestModeInFiles: a number is one, a text is octal.
func TestModeInFiles(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		value any
		want  string
	}{
		{int64(0o660), "0660"},
		{"660", "0660"},
		{nil, "None"},
		{int64(660), "must be an octal mode from 0001 to 0777"},
		{int64(0), "must be an octal mode from 0001 to 0777"},
		{int64(-1), "must be an octal mode from 0001 to 0777"},
		{true, "must be an octal mode from 0001 to 0777"},
		{[]any{}, "must be a string"},
	} {
		cmd, err := merge(t, "m:app", nil, map[string]any{"unix_socket_mode": tt.value})
		got := reasonOf(err)
		if err == nil {
			got = printed(cmd.Config, "unix_socket_mode")
		}
		if !strings.HasSuffix(got, tt.want) {
			t.Errorf("%v: got %s, want %s", tt.value, got, tt.want)
		}
	}
}

func TestParseOwner(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text, reason string
		uid, gid     int
	}{
		{"root", "", 0, -1},
		{"root:root", "", 0, 0},
		{":root", "", -1, 0},
		{"4711:4712", "", 4711, 4712},
		{"4711", "", 4711, -1},
		{":4712", "", -1, 4712},
		{"", "", 0, 0},
		{"root:", "must be USER, USER:GROUP or :GROUP", 0, 0},
		{":", "must be USER, USER:GROUP or :GROUP", 0, 0},
		{"nobody here", "No such user: 'nobody here'", 0, 0},
		{"root:no such", "No such group: 'no such'", 0, 0},
		{"4294967295", "must not be more than 4294967294", 0, 0},
	} {
		got, err := parseOwner(tt.text)
		if got.UID != tt.uid || got.GID != tt.gid || reasonOf(err) != tt.reason || err == nil && got.Text != tt.text {
			t.Errorf("%q: got %+v, %v, want %d, %d, %s", tt.text, got, err, tt.uid, tt.gid, tt.reason)
		}
	}
}

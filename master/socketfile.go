package master

import "gowsgi/config"

// socketFile is what the file of a unix socket is to have.
type socketFile struct {
	mode     uint32
	uid, gid int // -1: as the master made it
}

// fileOf returns what the settings say of the files of unix sockets. By default
// they are open to all, so that the directory decides who may connect, and belong
// to whom the workers run as (gunicorn: umask, user, group).
func fileOf(cfg *config.Config) socketFile {
	f := socketFile{mode: uint32(0o777 &^ cfg.Umask), uid: -1, gid: -1}
	if cfg.UnixSocketMode != 0 {
		f.mode = uint32(cfg.UnixSocketMode)
	}
	if id, ok := cfg.Identity(); ok && id.Differs() {
		f.uid, f.gid = id.UID, id.GID
	}
	if o := cfg.UnixSocketOwner; o.Text != "" {
		if o.UID >= 0 {
			f.uid = o.UID
		}
		if o.GID >= 0 {
			f.gid = o.GID
		}
	}
	return f
}

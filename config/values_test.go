package config

import (
	"strings"
	"testing"
	"time"
)

// reasonOf returns the text of err, "" for nil.
func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestParseCount(t *testing.T) {
	t.Parallel()
	const tooLarge = "must not be more than 2147483647"
	for _, tt := range []struct {
		text   string
		want   int
		reason string
	}{
		{"0", 0, ""},
		{"4", 4, ""},
		{" 4\t", 4, ""},
		{"+4", 4, ""},
		{"-0", 0, ""},
		{"007", 7, ""},
		{"010", 10, ""}, // not octal
		{"000", 0, ""},
		{"0x10", 16, ""},
		{"0X1f", 31, ""},
		{"0o17", 15, ""},
		{"0b101", 5, ""},
		{"1_000", 1000, ""},
		{"2147483647", 2147483647, ""},
		{"2147483648", 0, tooLarge},
		{"99999999999999999999", 0, tooLarge},
		{"-1", 0, "must not be negative"},
		{"-99999999999999999999", 0, "must not be negative"},
		{"-0x1", 0, "must not be negative"},
		{"", 0, "not a valid int"},
		{" ", 0, "not a valid int"},
		{"-", 0, "not a valid int"},
		{"+-4", 0, "not a valid int"},
		{"--4", 0, "not a valid int"},
		{"4.0", 0, "not a valid int"},
		{"1e3", 0, "not a valid int"},
		{"0x", 0, "not a valid int"},
		{"four", 0, "not a valid int"},
		{"4 5", 0, "not a valid int"},
		{"٤", 0, "not a valid int"},
	} {
		got, err := parseCount(tt.text)
		if got != tt.want || reasonOf(err) != tt.reason {
			t.Errorf("%q: got %d, %v, want %d, %s", tt.text, got, err, tt.want, tt.reason)
		}
	}
}

func TestParseSize(t *testing.T) {
	t.Parallel()
	const tooLarge = "must not be more than 1125899906842624"
	const noSize = "not a valid size: a number of bytes, or one with k, m or g behind it"
	for _, tt := range []struct {
		text   string
		want   int64
		reason string
	}{
		{"0", 0, ""},
		{"1000", 1000, ""},
		{"1k", 1 << 10, ""},
		{"20M", 20 << 20, ""},
		{"3g", 3 << 30, ""},
		{" 3 g", 3 << 30, ""},
		{"0x1f", 31, ""},
		{"2147483648", 1 << 31, ""},
		{"1125899906842624", 1 << 50, ""},
		{"1048576g", 1 << 50, ""},
		{"1125899906842625", 0, tooLarge},
		{"1048577g", 0, tooLarge},
		{"99999999999999999999", 0, tooLarge},
		{"99999999999999999999g", 0, tooLarge},
		{"-1", 0, "must not be negative"},
		{"-1k", 0, "must not be negative"},
		{"", 0, noSize},
		{"k", 0, noSize},
		{"1t", 0, noSize},
		{"1kb", 0, noSize},
		{"1.5m", 0, noSize},
		{"much", 0, noSize},
	} {
		got, err := parseSize(tt.text)
		if got != tt.want || reasonOf(err) != tt.reason {
			t.Errorf("%q: got %d, %v, want %d, %s", tt.text, got, err, tt.want, tt.reason)
		}
	}
}

func TestParseSeconds(t *testing.T) {
	t.Parallel()
	const small = "must be 0 or at least 0.001"
	for _, tt := range []struct {
		text, printed string
		want          time.Duration
		reason        string
	}{
		{"0", "0", 0, ""},
		{"30", "30", 30 * time.Second, ""},
		{"0x10", "16", 16 * time.Second, ""},
		{"0.5", "0.5", 500 * time.Millisecond, ""},
		{".5", "0.5", 500 * time.Millisecond, ""},
		{"1.", "1", time.Second, ""},
		{"0.1", "0.1", 100 * time.Millisecond, ""},
		{"2.25", "2.25", 2250 * time.Millisecond, ""},
		{"0.001", "0.001", time.Millisecond, ""},
		{"0.0", "0", 0, ""},
		{"2147483647", "2147483647", 2147483647 * time.Second, ""},
		{"0.0009", "", 0, small},
		{"0.000000000001", "", 0, small},
		{"2147483648", "", 0, "must not be more than 2147483647"},
		{"99999999999.5", "", 0, "must not be more than 2147483647"},
		{"-1", "", 0, "must not be negative"},
		{"-0.5", "", 0, "must not be negative"},
		{"30s", "", 0, "not a valid int"},
		{"", "", 0, "not a valid int"},
		{"nan", "", 0, "not a valid int"},
		{".", "", 0, "not a valid number of seconds"},
		{"1.2.3", "", 0, "not a valid number of seconds"},
		{"1.5s", "", 0, "not a valid number of seconds"},
		{"0x1.8p1", "", 0, "not a valid number of seconds"},
		{"1.5e300", "", 0, "not a valid number of seconds"},
	} {
		got, err := parseSeconds(tt.text)
		if reasonOf(err) != tt.reason || err == nil && got != tt.want {
			t.Errorf("%q: got %v, %v, want %v, %s", tt.text, got, err, tt.want, tt.reason)
		}
		if err == nil && formatSeconds(got) != tt.printed {
			t.Errorf("%q: printed %s, want %s", tt.text, formatSeconds(got), tt.printed)
		}
	}
}

// TestBadValues: one line that names the setting and the value, exit 1.
func TestBadValues(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300)
	const levels = "must be one of debug, info, warning, error, critical"
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"workers", []string{"-w", "-1"}, "invalid value for workers: '-1': must not be negative"},
		{"workers joined", []string{"-w-1"}, "invalid value for workers: '-1': must not be negative"},
		{"timeout", []string{"-t", "-5"}, "invalid value for timeout: '-5': must not be negative"},
		{"backlog", []string{"--backlog", "-5"}, "invalid value for backlog: '-5': must not be negative"},
		{"bind port", []string{"-b", "h:x"}, "invalid value for bind: 'h:x': 'x' is not a valid port number"},
		{"bind fd", []string{"-b", "fd://x"}, "invalid value for bind: 'fd://x': 'x' is not a valid file descriptor"},
		{"env", []string{"-e", "FOO"}, "environment setting 'FOO' invalid"},
		{"env without a key", []string{"-e", "=x"}, "environment setting '=x' invalid"},
		{"second env", []string{"-e", "A=1", "-e", "B"}, "environment setting 'B' invalid"},
		{"level", []string{"--log-level", "warn"}, "invalid value for loglevel: 'warn': " + levels},
		{"log format", []string{"--log-format", "xml"}, "invalid value for log_format: 'xml': must be one of text, json"},
		{"empty error log", []string{"--error-logfile="}, "invalid value for errorlog: '': must not be empty"},
		{"access log format", []string{"--access-logformat", "%(h)d"}, "invalid value for access_log_format: '%(h)d': '%(h)d' must end in s"},
		{"syslog address", []string{"--log-syslog", "--log-syslog-to", "localhost"}, "invalid value for syslog_addr: 'localhost': must begin with udp://, tcp:// or unix://"},
		{"syslog facility", []string{"--log-syslog", "--log-syslog-facility", "local8"}, "invalid value for syslog_facility: 'local8': unknown facility name"},
		{"statsd address", []string{"--statsd-host", "host:port"}, "invalid value for statsd_host: 'host:port': 'port' is not a valid port number"},
		{"path left out of the access log", []string{"--access-log-exclude", "healthz"}, "invalid value for access_log_exclude: 'healthz': must begin with \"/\", and may end in \"*\""},
		{"no module", []string{":app"}, "invalid value for wsgi_app: ':app': no module name: want MODULE[:VARIABLE]"},
		{"NUL", []string{"-n", "a\x00b"}, `invalid value for proc_name: 'a\x00b': must not contain a NUL byte`},
		{"not UTF-8", []string{"-n", "a\xff"}, `invalid value for proc_name: 'a\xff': must be UTF-8`},
		{"not UTF-8 in a list", []string{"-e", "A=1", "-e", "A=\xe9"}, `invalid value for raw_env: 'A=\xe9': must be UTF-8`},
		{"newline", []string{"--log-level", "a\nb"}, `invalid value for loglevel: 'a\nb': ` + levels},
		{"long", []string{"--log-level", long}, "invalid value for loglevel: '" + long[:200] + "'...: " + levels},
	} {
		_, err := Load(append(tt.args, "app"), environ(nil), t.TempDir())
		t.Run(tt.name, func(t *testing.T) { wantError(t, err, 1, tt.want) })
	}
}

func TestWorkerClass(t *testing.T) {
	t.Parallel()
	const (
		green = "event loops in Python and green threads are not supported: use gthread with --threads, as many as requests shall run at a time"
		asgi  = "only WSGI applications are supported: use sync or gthread, or wrap the application (asgiref, a2wsgi)"
		own   = "worker classes of one's own are not supported: use sync or gthread, and hooks for what the class adds"
	)
	for class, hint := range map[string]string{
		"gevent":                                green,
		"eventlet":                              green,
		"gevent_pywsgi":                         green,
		"tornado":                               green,
		"gunicorn.workers.ggevent.GeventWorker": green,
		"gunicorn.workers.geventlet.EventletWorker": green,
		"gunicorn.workers.gtornado.TornadoWorker":   green,
		"egg:meinheld#gunicorn_worker":              green,
		"meinheld.gmeinheld.MeinheldWorker":         green,
		"asgi":                                      asgi,
		"gunicorn.workers.gasgi.ASGIWorker":         asgi,
		"uvicorn.workers.UvicornWorker":             asgi,
		"uvicorn_worker.UvicornH11Worker":           asgi,
		"aiohttp.GunicornWebWorker":                 asgi,
		"my.Worker":                                 own,
		"gunicorn.workers.base.Worker":              own,
		"egg:mine#worker":                           own,
		"SYNC":                                      "use sync or gthread",
		"":                                          "use sync or gthread",
	} {
		_, err := Load([]string{"--worker-class=" + class, "app"}, environ(nil), t.TempDir())
		wantError(t, err, 1, "invalid value for worker_class: '"+class+"': "+hint)
	}
	for class, want := range map[string]string{
		"gunicorn.workers.sync.SyncWorker":      "sync",
		"gunicorn.workers.gthread.ThreadWorker": "gthread",
		"egg:gunicorn#sync":                     "sync",
		"egg:gunicorn#gthread":                  "gthread",
	} {
		cmd, err := Load([]string{"-k", class, "app"}, environ(nil), t.TempDir())
		if err != nil || cmd.Config.WorkerClass != want {
			t.Errorf("-k %s: %v, want %s", class, err, want)
		}
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ args, setting, want string }{
		{"--log-level DEBUG app", "loglevel", "debug"},
		{"--log-level Critical app", "loglevel", "critical"},
		{"--log-format JSON app", "log_format", "json"},
		{"--env A= app", "raw_env", "['A=']"},
		{"--env A=b=c app", "raw_env", "['A=b=c']"},
	} {
		if got := printed(mustLoad(t, tt.args, nil), tt.setting); got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.args, got, tt.want)
		}
	}
}

func TestPyRepr(t *testing.T) {
	t.Parallel()
	// The right-hand sides are what CPython prints.
	for s, want := range map[string]string{
		"":               `''`,
		"a b":            `'a b'`,
		"it's":           `"it's"`,
		`"`:              `'"'`,
		`'"`:             `'\'"'`,
		`\`:              `'\\'`,
		"\n\r\t\x00\x7f": `'\n\r\t\x00\x7f'`,
		"é":              `'é'`,
		"\u200b":         `'\u200b'`,
		"\U000e0001":     `'\U000e0001'`,
		"\ufffd":         "'\ufffd'",
		"\xff":           `'\xff'`,
	} {
		if got := pyRepr(s); got != want {
			t.Errorf("%q: got %s, want %s", s, got, want)
		}
	}
}

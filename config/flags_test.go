package config

import (
	"reflect"
	"testing"
)

// TestArgparse: what command lines written for argparse rely on.
func TestArgparse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, args, setting, want string
	}{
		{"space", "-w 4 app", "workers", "4"},
		{"joined", "-w4 app", "workers", "4"},
		{"short with =", "-w=4 app", "workers", "4"},
		{"long with =", "--workers=4 app", "workers", "4"},
		{"after the application", "app -w 4", "workers", "4"},
		{"colon joined", "-b:9 app", "bind", "[':9']"},
		{"prefix", "--time 7 app", "timeout", "7"},
		{"prefix with =", "--time=7 app", "timeout", "7"},
		{"prefix of an action", "--print app", "workers", "1"},
		{"prefix that is a whole flag", "--max-requests 5 app", "max_requests", "5"},
		{"prefix of an alias", "--log-fi x app", "errorlog", "x"},
		{"prefix under gunicorn, of one of ours too", "--log-f x app", "errorlog", "x"},
		{"prefix that --python must not take", "--pyth x --chdir / app", "pythonpath", "/x"},
		{"alias", "--log-file x app", "errorlog", "x"},
		{"odd name", "--limit-request-field_size 9 app", "limit_request_field_size", "9"},
		{"even name", "--limit-request-field-size 9 app", "limit_request_field_size", "9"},
		{"dash as a value", "--access-logfile - app", "accesslog", "-"},
		{"dash joined", "--access-logfile=- app", "accesslog", "-"},
		{"value like a flag, joined", "--name=--x app", "proc_name", "--x"},
		{"extra positionals", "app other more", "wsgi_app", "app"},
		{"end of flags", "-w 2 -- app -w 3", "workers", "2"},
		{"application after the end of flags", "-- app -w 3", "wsgi_app", "app"},
		{"true", "--reuse-port=true app", "reuse_port", "True"},
		{"false", "--reuse-port=false app", "reuse_port", "False"},
		{"switched off", "--no-sendfile app", "sendfile", "False"},
		{"not switched off", "--no-sendfile=false app", "sendfile", "True"},
		{"no value for a boolean", "--reuse-port app", "wsgi_app", "app"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := printed(mustLoad(t, tt.args, nil), tt.setting); got != tt.want {
				t.Errorf("%q: got %s %s, want %s", tt.args, tt.setting, got, tt.want)
			}
		})
	}
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ args, want string }{
		{"--nope app", "unrecognized arguments: --nope"},
		{"--nope=1 app", "unrecognized arguments: --nope"},
		{"-Z app", "unrecognized arguments: -Z"},
		{"--a\x1bb app", `unrecognized arguments: '--a\x1bb'`},
		{"-Z\xff app", `unrecognized arguments: '-Z\xff'`},
		{"---w app", "unrecognized arguments: ---w"},
		{"--=1 app", "unrecognized arguments: --=1"},
		{"-w abc app", "argument -w/--workers: invalid int value: 'abc'"},
		{"-w= app", "argument -w/--workers: invalid int value: '='"},
		{"--workers= app", "argument -w/--workers: invalid int value: ''"},
		{"-w 1.5 app", "argument -w/--workers: invalid int value: '1.5'"},
		{"--time x app", "argument -t/--timeout: invalid int value: 'x'"},
		{"-t 1.x app", "argument -t/--timeout: invalid number of seconds value: '1.x'"},
		{"--log-f app -w", "argument -w/--workers: expected one argument"},
		{"app --bind", "argument -b/--bind: expected one argument"},
		{"app --bind --workers 3", "argument -b/--bind: expected one argument"},
		{"app --log-file -w3", "argument --error-logfile/--log-file: expected one argument"},
		{"app -n --", "argument -n/--name: expected one argument"},
		{"app -vn -w", "argument -n/--name: expected one argument"},
		{"--worker 3 app", "ambiguous option: --worker could match --worker-class, --worker-connections, --worker-tmp-dir, --workers"},
		{"--limit-request-field 3 app", "ambiguous option: --limit-request-field could match --limit-request-field-size, --limit-request-fields"},
		{"--log-form json app", "unrecognized arguments: --log-form"},
		{"--reuse-port=maybe app", "argument --reuse-port: invalid bool value: 'maybe'"},
		{"--check-config=7 app", "argument --check-config: invalid bool value: '7'"},
	} {
		_, err := load(t, tt.args, nil)
		t.Run(tt.args, func(t *testing.T) { wantError(t, err, 2, tt.want) })
	}
}

func TestNoApplication(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"", "-w 4", "--check-config", "--print-config"} {
		_, err := load(t, args, nil)
		wantError(t, err, 1, "No application module specified.")
	}
	// A bad value is reported first, as by gunicorn.
	_, err := load(t, "-w -1", nil)
	wantError(t, err, 1, "invalid value for workers: '-1': must not be negative")
}

// TestRefusals: every flag of gunicorn that is not here is refused by its name, or
// accepted without effect, with and without a value, and never as an unknown one.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for i := range refusals {
		r := &refusals[i]
		flags := []string{}
		for _, name := range r.names() {
			flags = append(flags, "--"+name)
		}
		if r.short != "" {
			flags = append(flags, "-"+r.short)
		}
		for _, flag := range flags {
			lines := []string{flag + " x app", "app " + flag + "=x"}
			if r.meta == "" {
				lines = append(lines, flag, "app "+flag)
			}
			for _, args := range lines {
				if !r.noop {
					_, err := load(t, args, nil)
					wantError(t, err, 1, r.reason(r.display()))
					continue
				}
				cmd, err := load(t, args+" app", nil)
				if err != nil {
					t.Errorf("%s: %v", args, err)
				} else if want := []string{r.reason(r.display())}; !reflect.DeepEqual(cmd.Warnings, want) {
					t.Errorf("%s: got warnings %q, want %q", args, cmd.Warnings, want)
				}
			}
		}
	}
	for _, tt := range []struct{ args, want string }{
		{"--keyfile x app", "--keyfile is not supported: gowsgi speaks no TLS yet; let a proxy in front end it"},
		{"--keyf x app", "--keyfile is not supported: gowsgi speaks no TLS yet; let a proxy in front end it"},
		{"--certfile x.pem app", "--certfile is not supported: gowsgi speaks no TLS yet; let a proxy in front end it"},
		{"--paster x", "--paste/--paster is not supported: give the application as MODULE:VARIABLE, in a module that calls paste.deploy.loadapp"},
	} {
		_, err := load(t, tt.args, nil)
		wantError(t, err, 1, tt.want)
	}
}

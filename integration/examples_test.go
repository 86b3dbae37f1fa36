package integration

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"gowsgi/internal/gowsgitest"
)

// startExample serves an application of examples/ with four workers, as its
// README says.
func startExample(t *testing.T, spec string) *gowsgitest.Server {
	t.Helper()
	c := gowsgitest.Config{Dir: gowsgitest.Examples(), Args: []string{"-w", "4", spec}}
	if strings.HasPrefix(spec, "django") {
		c.Env = []string{"DJANGO_DB=" + djangoDB(t)}
	}
	return gowsgitest.Start(t, c)
}

// fourPids asks for "/" until four processes have answered; find takes the pid
// out of the body.
func fourPids(t *testing.T, s *gowsgitest.Server, find string) {
	t.Helper()
	re := regexp.MustCompile(find)
	pids := map[string]bool{}
	var mu sync.Mutex
	if !gowsgitest.Eventually(func() bool {
		// At once, so that no worker can take them all.
		var waiting []<-chan answer
		for range 8 {
			waiting = append(waiting, ask(s, "/"))
		}
		for _, c := range waiting {
			a := <-c
			if a.err != nil || a.Status != 200 {
				t.Fatalf("got %v, want 200", a)
			}
			m := re.FindStringSubmatch(a.Body)
			if m == nil {
				t.Fatalf("no pid in %q", a.Body)
			}
			mu.Lock()
			pids[m[1]] = true
			mu.Unlock()
		}
		return len(pids) == 4
	}) {
		t.Errorf("only %v answered, want 4 processes", pids)
	}
}

func TestFunctionExample(t *testing.T) {
	t.Parallel()
	s := startExample(t, "function_app")
	if got := s.GetOK("/"); got != "Hello, world!\n" {
		t.Errorf("got %q", got)
	}
}

func TestClassExample(t *testing.T) {
	t.Parallel()
	s := startExample(t, "class_app:application")
	if got := s.GetOK("/caf%C3%A9"); !strings.HasPrefix(got, "Hello, café!") {
		t.Errorf("got %q", got)
	}
	fourPids(t, s, `of process (\d+)`)
}

func TestIsolationExample(t *testing.T) {
	t.Parallel()
	fourPids(t, startExample(t, "isolation_app"), `"pid": (\d+)`)
}

func TestFlaskExample(t *testing.T) {
	t.Parallel()
	s := startExample(t, "flask_app:flask_app")
	fourPids(t, s, `"pid":(\d+)`)
	if got := s.Post("/form", "application/x-www-form-urlencoded", "name=%3Cb%3EAda+L."); !strings.Contains(got.Body, "Hello, &lt;b&gt;Ada L.!") {
		t.Errorf("form: got %v", got)
	}
	if got := s.Post("/api/sum", "application/json", `{"numbers": [1, 2, 39]}`); strings.TrimSpace(got.Body) != `{"count":3,"sum":42}` {
		t.Errorf("JSON: got %v", got)
	}
	if got := s.Post("/api/sum", "application/json", `{`); got.Status != 400 {
		t.Errorf("broken JSON: got %v, want 400", got)
	}
	if got := s.GetOK("/stream?lines=3&who=Ada"); got != "line 0 for Ada\nline 1 for Ada\nline 2 for Ada\n" {
		t.Errorf("stream: got %q", got)
	}
	if got := s.Get("/error"); got.Status != 500 || !strings.Contains(got.Body, "Internal Server Error") {
		t.Errorf("error: got %v, want 500", got)
	}
	s.Log.Wait(t, `RuntimeError: this view always fails`)
	if got := s.Get("/nosuch"); got.Status != 404 {
		t.Errorf("got %v, want 404", got)
	}
	checkUpload(t, s, 10)
	checkUpload(t, s, 5<<20)
}

// checkUpload sends a file of n bytes as a browser does.
func checkUpload(t *testing.T, s *gowsgitest.Server, n int) {
	t.Helper()
	content := bytes.Repeat([]byte("\x00\xff\r\n--"), n/6+1)[:n]
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "näme.bin")
	if err != nil {
		t.Fatal(err)
	}
	part.Write(content)
	form.Close()
	r := s.Post("/upload", form.FormDataContentType(), body.String())
	var got struct {
		Name, SHA256 string
		Size         int
	}
	if r.Status != 200 {
		t.Fatalf("upload of %d bytes: got %v, want 200", n, r)
	}
	r.JSON(t, &got)
	sum := sha256.Sum256(content)
	if got.Size != n || got.SHA256 != hex.EncodeToString(sum[:]) || got.Name != "näme.bin" {
		t.Errorf("upload of %d bytes: got %v", n, got)
	}
}

// djangoDB returns a copy of a database with the example's tables and the user
// admin, password "secret".
func djangoDB(t *testing.T) string {
	t.Helper()
	data, err := migrated()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "db.sqlite3")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var migrated = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "gowsgi-django-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "db.sqlite3")
	python := filepath.Join(gowsgitest.Examples(), ".venv", "bin", "python")
	if venv := os.Getenv("GOWSGI_TEST_VENV"); venv != "" {
		python = filepath.Join(venv, "bin", "python")
	}
	for _, args := range [][]string{
		{"migrate", "-v0"},
		{"createsuperuser", "--noinput", "--username", "admin", "--email", "admin@example.com"},
	} {
		cmd := exec.Command(python, append([]string{"-B", "manage.py"}, args...)...)
		cmd.Dir = gowsgitest.Examples()
		cmd.Env = append(os.Environ(), "DJANGO_DB="+path, "DJANGO_SUPERUSER_PASSWORD=secret")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("manage.py %s: %w\n%s", args[0], err, out)
		}
	}
	return os.ReadFile(path)
})

func TestDjangoExample(t *testing.T) {
	t.Parallel()
	s := startExample(t, "django_app.wsgi:application")
	fourPids(t, s, `"pid": (\d+)`)
	if got := s.GetOK("/stream"); !strings.HasPrefix(got, "line 0\nline 1\n") {
		t.Errorf("stream: got %q", got)
	}
	if got := s.Get("/error"); got.Status != 500 {
		t.Errorf("error: got %v, want 500", got)
	}
	// Django logs the exception itself.
	s.Log.Wait(t, `RuntimeError: this view always fails`)

	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, Timeout: gowsgitest.Patience}
	defer browser.CloseIdleConnections()
	get := func(target string) string {
		t.Helper()
		r, err := browser.Get(s.URL(target))
		return bodyOf(t, r, err)
	}
	login := get("/admin/")
	token := regexp.MustCompile(`name="csrfmiddlewaretoken" value="(\w+)"`).FindStringSubmatch(login)
	if token == nil {
		t.Fatalf("no login form in %q", login)
	}
	r, err := browser.PostForm(s.URL("/admin/login/?next=/admin/"), url.Values{
		"csrfmiddlewaretoken": {token[1]}, "username": {"admin"}, "password": {"secret"}, "next": {"/admin/"},
	})
	if page := bodyOf(t, r, err); !strings.Contains(page, "Site administration") || !strings.Contains(page, "Log out") {
		t.Errorf("logging in gives %q", page)
	}
	if page := get("/admin/auth/user/"); !strings.Contains(page, "admin@example.com") {
		t.Errorf("the list of users is %q", page)
	}
	// The admin's style sheets come through wsgi.file_wrapper.
	if css := get("/static/admin/css/base.css"); !strings.Contains(css, "--primary") {
		t.Errorf("the style sheet has %d bytes", len(css))
	}
	// A session survives going from worker to worker.
	for n := 1; n <= 8; n++ {
		if got := get("/visits"); !strings.Contains(got, fmt.Sprintf(`"visits": %d,`, n)) {
			t.Errorf("visit %d: got %q", n, got)
		}
	}
}

func bodyOf(t *testing.T, r *http.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != 200 {
		t.Fatalf("got %d %q, %v, want 200", r.StatusCode, data, err)
	}
	return string(data)
}

// wsgiref's validator checks the server as much as the application: it raises
// for every key, type, call and order that PEP 3333 forbids.
func TestValidator(t *testing.T) {
	t.Parallel()
	type request struct{ method, target, contentType, body string }
	get := func(target string) request { return request{"GET", target, "", ""} }
	tests := []struct {
		spec     string
		requests []request
	}{
		{"validated:function()", []request{get("/"), {"HEAD", "/", "", ""}, {"POST", "/", "text/plain", "ignored"}}},
		{"validated:instance()", []request{get("/x"), get("/?q")}},
		{"validated:isolation()", []request{get("/")}},
		{"validated:flask()", []request{
			get("/"), get("/form"), get("/stream"), get("/nosuch"),
			// Werkzeug reads other bodies by read() without a size, which the
			// validator forbids to applications.
			{"POST", "/form", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nAda\r\n--b--\r\n"},
		}},
		{"validated:django()", []request{get("/"), get("/visits"), get("/stream"), get("/admin/login/"), get("/static/admin/css/base.css"), get("/nosuch")}},
	}
	for _, threads := range []string{"1", "2"} {
		for _, tt := range tests {
			t.Run(tt.spec+" "+threads+" threads", func(t *testing.T) {
				t.Parallel()
				s := gowsgitest.Start(t, gowsgitest.Config{
					Dir:  gowsgitest.Examples(),
					Args: []string{"-w", "2", "--threads", threads, "--pythonpath", apps(), tt.spec},
					Env:  []string{"DJANGO_DB=" + djangoDB(t)},
				})
				for _, q := range tt.requests {
					req := s.NewRequest(q.method, q.target, strings.NewReader(q.body))
					if q.contentType != "" {
						req.Header.Set("Content-Type", q.contentType)
					}
					want := 200
					if q.target == "/nosuch" {
						want = 404
					}
					if r := s.Do(req); r.Status != want {
						t.Errorf("%s %s: got %v, want %d", q.method, q.target, r, want)
					}
				}
				if code := s.Stop(); code != 0 {
					t.Errorf("exit code %d, want 0", code)
				}
				for _, complaint := range []string{`AssertionError`, `WSGIWarning`, `Traceback`, `\[ERROR\]`, `without being closed|closed before`} {
					if s.Log.Count(complaint) != 0 {
						t.Errorf("the validator complains: %q", complaint)
					}
				}
			})
		}
	}
}

package integration

import (
	"strings"
	"testing"
)

// gunicorn: header_map, strip_header_spaces, permit_obsolete_folding,
// permit_unconventional_http_method, permit_unconventional_http_version,
// casefold_http_method. Each lets through what is refused, or left out, without it.
func TestCompatibilitySwitches(t *testing.T) {
	t.Parallel()
	const (
		line = "GET /environ HTTP/1.1\r\nHost: x\r\n"
		none = "\x00" // the key is not there
	)
	tests := []struct {
		name, request string
		args          []string
		status        int
		key, value    string
	}{
		{"header_map drop", line + "X_A: 1\r\nX-A: 2\r\n\r\n", nil, 200, "HTTP_X_A", "2"},
		{"header_map drop alone", line + "X_A: 1\r\n\r\n", []string{"--header-map", "drop"}, 200, "HTTP_X_A", none},
		{"header_map refuse", line + "X_A: 1\r\n\r\n", []string{"--header-map", "refuse"}, 400, "", ""},
		{"header_map refuse without", line + "X-A: 1\r\n\r\n", []string{"--header-map", "refuse"}, 200, "HTTP_X_A", "1"},
		{"header_map dangerous", line + "X_A: 1\r\nX-A: 2\r\n\r\n", []string{"--header-map", "dangerous"}, 200, "HTTP_X_A", "1,2"},
		{"header_map and framing", line + "Content_Length: 9\r\n\r\n", []string{"--header-map", "dangerous"}, 200, "CONTENT_LENGTH", none},
		{"space", line + "X-A : 1\r\n\r\n", nil, 400, "", ""},
		{"strip_header_spaces", line + "X-A : 1\r\n\r\n", []string{"--strip-header-spaces"}, 200, "HTTP_X_A", "1"},
		{"fold", line + "X-A: 1\r\n 2\r\n\r\n", nil, 400, "", ""},
		{"permit_obsolete_folding", line + "X-A: 1\r\n 2\r\n\r\n", []string{"--permit-obsolete-folding"}, 200, "HTTP_X_A", "1 2"},
		{"method", strings.Replace(line, "GET", "g#t", 1) + "\r\n", nil, 400, "", ""},
		{"permit_unconventional_http_method", strings.Replace(line, "GET", "g#t", 1) + "\r\n",
			[]string{"--permit-unconventional-http-method"}, 200, "REQUEST_METHOD", "g#t"},
		{"casefold_http_method alone", strings.Replace(line, "GET", "get", 1) + "\r\n", []string{"--casefold-http-method"}, 400, "", ""},
		{"casefold_http_method", strings.Replace(line, "GET", "get", 1) + "\r\n",
			[]string{"--casefold-http-method", "--permit-unconventional-http-method"}, 200, "REQUEST_METHOD", "GET"},
		{"version", strings.Replace(line, "1.1", "2.0", 1) + "\r\n", nil, 505, "", ""},
		{"permit_unconventional_http_version", strings.Replace(line, "1.1", "2.0", 1) + "\r\n",
			[]string{"--permit-unconventional-http-version"}, 200, "SERVER_PROTOCOL", "HTTP/2.0"},
		{"version below 1.0", "GET /environ HTTP/0.9\r\n\r\n",
			[]string{"--permit-unconventional-http-version"}, 200, "SERVER_PROTOCOL", "HTTP/0.9"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, append(tt.args, "probe")...)
			// Whole, and in two pieces.
			for _, cut := range []int{0, len(tt.request) - 6} {
				c := s.Dial()
				c.Send(tt.request[:cut])
				c.Send(tt.request[cut:])
				r := c.Response("GET")
				if r.Status != tt.status {
					t.Fatalf("got %v, want %d", r, tt.status)
				}
				if tt.status != 200 {
					continue
				}
				var e environ
				r.JSON(t, &e)
				got, found := e[tt.key]
				if !found {
					got[1] = none
				}
				if got[1] != tt.value {
					t.Errorf("%s is %q, want %q", tt.key, got[1], tt.value)
				}
			}
		})
	}
}

package http1

import (
	"strings"
	"testing"

	"gowsgi/internal/golden"
)

// defaultLimits are gunicorn's.
var defaultLimits = Limits{RequestLine: 4094, Fields: 100, FieldSize: 8190}

// chunkedHead comes before the input of a chunked case.
const chunkedHead = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"

// maxSplits is the number of places at which a long input is cut in two; a
// shorter one is cut at every place.
const maxSplits = 200

// TestScripts runs the scripts, one for each clause. What came in whole must
// look the same when it comes byte by byte and in any two pieces.
func TestScripts(t *testing.T) {
	t.Parallel()
	golden.Run(t, "testdata/*.txt", func(t *testing.T, c *golden.Case) string {
		rules := rulesOf(t, c)
		in := c.Input
		switch c.Command {
		case "stream": // the bytes of a connection
		case "chunked": // the content of a request
			in = append([]byte(chunkedHead), in...)
		default:
			t.Fatalf("%s: unknown command %q", c.Where, c.Command)
		}
		whole := drive(rules, in)
		if got := driveBytes(rules, in); got.events != whole.events {
			t.Errorf("%s: byte by byte:\n%s\nwhole:\n%s", c.Where, got.events, whole.events)
		}
		for cut := 0; cut < len(in); cut += 1 + len(in)/maxSplits {
			if got := drive(rules, in, cut); got.events != whole.events {
				t.Errorf("%s: cut at %d:\n%s\nwhole:\n%s", c.Where, cut, got.events, whole.events)
				break
			}
		}
		if c.Command == "chunked" {
			_, content, _ := strings.Cut(whole.events, "keep-alive chunked\n")
			return content
		}
		return whole.events
	})
}

// rulesOf reads what a case sets of the rules.
func rulesOf(t *testing.T, c *golden.Case) Rules {
	on := func(key string) bool { return c.Int(t, key, 0) != 0 }
	return Rules{
		Limits: Limits{
			RequestLine: c.Int(t, "line", defaultLimits.RequestLine),
			Fields:      c.Int(t, "fields", defaultLimits.Fields),
			FieldSize:   c.Int(t, "size", defaultLimits.FieldSize),
			Body:        int64(c.Int(t, "body", 0)),
		},
		Compat: Compat{
			ObsFold: on("fold"), SpaceBeforeColon: on("space"), AnyMethod: on("method"),
			CasefoldMethod: on("casefold"), AnyVersion: on("version"),
		},
	}
}

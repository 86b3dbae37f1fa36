package worker

import (
	"bytes"

	"gowsgi/config"
	"gowsgi/protocol/http1"
	"gowsgi/protocol/wsgi"
)

// errUnderscore is for header_map=refuse.
var errUnderscore = &http1.Error{Status: 400, Reason: "underscore in a field name"}

// rulesOf returns what the settings say of requests.
func rulesOf(cfg *config.Config) http1.Rules {
	return http1.Rules{
		Limits: http1.Limits{
			RequestLine: cfg.LimitRequestLine,
			Fields:      cfg.LimitRequestFields,
			FieldSize:   cfg.LimitRequestFieldSize,
			Body:        cfg.LimitRequestBody,
		}.Normalize(),
		Compat: http1.Compat{
			ObsFold:          cfg.PermitObsoleteFolding,
			SpaceBeforeColon: cfg.StripHeaderSpaces,
			AnyMethod:        cfg.PermitUnconventionalMethod,
			CasefoldMethod:   cfg.CasefoldHTTPMethod,
			AnyVersion:       cfg.PermitUnconventionalVersion,
		},
	}
}

// parse parses the head of c's request, the first n bytes of its buffer, into r.
// Fields that header_map keeps from the application are not in it.
func (e *engine) parse(c *conn, r *http1.Request, n int) *http1.Error {
	if err := r.Parse(c.buf[:n], &e.rules); err != nil {
		return err
	}
	if r.Underscore {
		return e.mapFields(c, r)
	}
	return nil
}

// mapFields decides about the fields with an underscore in their names.
func (e *engine) mapFields(c *conn, r *http1.Request) *http1.Error {
	kept := r.Fields[:0]
	for _, f := range r.Fields {
		if name := f.Name.Of(c.buf); bytes.IndexByte(name, '_') >= 0 {
			switch e.headerMap.Judge(e.mayForward(c, name)) {
			case wsgi.RefuseUnderscore:
				return errUnderscore
			case wsgi.DropUnderscore:
				continue
			}
		}
		kept = append(kept, f)
	}
	r.Fields = kept
	return nil
}

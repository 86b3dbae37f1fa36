package wsgi

import "testing"

func TestHeaderMap(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		setting string
		exempt  bool
		want    HeaderMap
	}{
		{"drop", false, DropUnderscore},
		{"drop", true, KeepUnderscore},
		{"refuse", false, RefuseUnderscore},
		{"refuse", true, KeepUnderscore},
		{"dangerous", false, KeepUnderscore},
		{"dangerous", true, KeepUnderscore},
	} {
		if got := ParseHeaderMap(tt.setting).Judge(tt.exempt); got != tt.want {
			t.Errorf("%s, exempt %t: got %d, want %d", tt.setting, tt.exempt, got, tt.want)
		}
	}
}

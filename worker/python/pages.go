package python

/*
#include "bridge.h"
*/
import "C"

// ForgetFilePages gives up what this process has mapped of programs, libraries and
// other files, and only reads; what is used again comes back from the kernel's cache.
// After a start the pages that only that has needed do not count as memory of the
// process any longer. It takes a millisecond.
func ForgetFilePages() { C.gw_forget_file_pages() }

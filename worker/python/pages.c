#define _GNU_SOURCE
#include "bridge.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Programs, libraries and other files are mapped, and their pages count as memory of
 * the process from when they were first used. The kernel has them in its cache: what is
 * given up costs nothing to get back, and much is used by a start only. A page of which
 * the process has a copy, because something was written there (relocations, breakpoints
 * of a debugger), would be lost; a mapping with one is left alone. */

struct mapping {
  uintptr_t start, end;
  int of_file; /* private, and not to be written to */
};

/* line takes a line of /proc/self/smaps (proc(5)): the first of a mapping,
 * "START-END PERMISSIONS OFFSET DEVICE INODE PATH", or one about it, of which
 * "Anonymous:" tells of copies. */
static void line(struct mapping *m, const char *text) {
  unsigned long start, end;
  char permissions[5];
  if (sscanf(text, "%lx-%lx %4s", &start, &end, permissions) == 3) {
    m->start = start;
    m->end = end;
    m->of_file = strchr(text, '/') && (!strcmp(permissions, "r-xp") || !strcmp(permissions, "r--p"));
    return;
  }
  unsigned long kb;
  if (m->of_file && sscanf(text, "Anonymous: %lu", &kb) == 1 && kb == 0)
    madvise((void *)m->start, m->end - m->start, MADV_DONTNEED);
}

/* gw_forget_file_pages gives up the pages of files. They are mapped again, from the
 * kernel's cache, when they are used. It takes a millisecond, and no memory. */
void gw_forget_file_pages(void) {
  int fd = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  struct mapping m = {0, 0, 0};
  char buf[8192]; /* longer than any line: a path has 4096 bytes at most */
  size_t n = 0;
  ssize_t got;
  while ((got = read(fd, buf + n, sizeof buf - 1 - n)) > 0) {
    n += (size_t)got;
    buf[n] = 0;
    char *from = buf, *newline;
    while ((newline = memchr(from, '\n', (size_t)(buf + n - from)))) {
      *newline = 0;
      line(&m, from);
      from = newline + 1;
    }
    n = (size_t)(buf + n - from);
    memmove(buf, from, n);
  }
  close(fd);
}

#define _GNU_SOURCE
#include "bridge.h"

#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Programs and libraries are mapped, and their pages count as memory of the process from
 * when they were first used. The kernel has them in its cache: what is given up costs
 * next to nothing to get back, and much is used by a start only.
 *
 * What the process has written to would be lost. So only what is not for writing is
 * given up, and of that nothing the kernel has copies of for this process: relocations
 * of code, or breakpoints of a debugger or tracer. The list of objects that are loaded
 * cannot change while dl_iterate_phdr goes through it, and what is mapped otherwise is
 * left alone. */

enum { MAPPINGS = 256 };

struct mapping {
  uintptr_t start, end;
};

/* clean is what smaps says is the file's, as it was read a moment ago. */
struct pages {
  int n;
  struct mapping clean[MAPPINGS];
  struct mapping now; /* the one that lines are about; end 0: not for us */
};

static void keep(struct pages *p) {
  if (p->now.end && p->n < MAPPINGS) p->clean[p->n++] = p->now;
  p->now.end = 0;
}

/* line takes a line of /proc/self/smaps (proc(5)): the first of a mapping,
 * "START-END PERMISSIONS OFFSET DEVICE INODE PATH", or one of those that follow, among
 * them "Anonymous:" and "Swap:", the pages that are copies. */
static void line(struct pages *p, const char *text) {
  unsigned long start, end, kb;
  char permissions[5];
  if (sscanf(text, "%lx-%lx %4s", &start, &end, permissions) == 3) {
    keep(p);
    if (strchr(text, '/') && (!strcmp(permissions, "r-xp") || !strcmp(permissions, "r--p")))
      p->now = (struct mapping){start, end};
  } else if ((sscanf(text, "Anonymous: %lu", &kb) == 1 || sscanf(text, "Swap: %lu", &kb) == 1) && kb > 0) {
    p->now.end = 0;
  }
}

static int read_smaps(struct pages *p) {
  int fd = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  char buf[8192]; /* longer than any line: a path has 4096 bytes at most */
  size_t n = 0;
  ssize_t got;
  while ((got = read(fd, buf + n, sizeof buf - 1 - n)) > 0) {
    n += (size_t)got;
    buf[n] = 0;
    char *from = buf, *newline;
    while ((newline = memchr(from, '\n', (size_t)(buf + n - from)))) {
      *newline = 0;
      line(p, from);
      from = newline + 1;
    }
    n = (size_t)(buf + n - from);
    memmove(buf, from, n);
  }
  keep(p);
  close(fd);
  return 0;
}

/* give_up gives up what is clean of one object's segments that are not for writing. */
static int give_up(struct dl_phdr_info *object, size_t size, void *arg) {
  (void)size;
  struct pages *p = arg;
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) *h = &object->dlpi_phdr[i];
    if (h->p_type != PT_LOAD || h->p_flags & PF_W) continue;
    uintptr_t start = (object->dlpi_addr + h->p_vaddr) & ~(page - 1);
    uintptr_t end = (object->dlpi_addr + h->p_vaddr + h->p_memsz + page - 1) & ~(page - 1);
    for (int j = 0; j < p->n; j++)
      if (p->clean[j].start >= start && p->clean[j].end <= end)
        madvise((void *)p->clean[j].start, p->clean[j].end - p->clean[j].start, MADV_DONTNEED);
  }
  return 0;
}

/* gw_forget_file_pages gives up the pages of programs and libraries that only a start
 * has needed. To read smaps takes 13 ms for each GiB that the process has. */
void gw_forget_file_pages(void) {
  struct pages p = {0};
  if (read_smaps(&p) == 0) dl_iterate_phdr(give_up, &p);
}

#include "bridge.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

/* What a forked worker allocates goes into the holes between the objects of the
 * spawner, and each small object in a hole makes it copy a page of four KiB that all
 * workers would have shared. So the spawner fills the holes first, with blocks it
 * never frees: workers then begin pages of their own. */

/* Sizes of pymalloc (Objects/obmalloc.c): blocks up to SMALL come from pools that
 * begin at a multiple of POOL, or of 4 * POOL, with a header. */
enum { STEP = 16, SMALL = 512, POOL = 4096, POOL_HEADER = 48, LARGEST = 64 << 10 };

/* struct mallinfo2 of glibc 2.33 and later, where malloc.h has it. */
struct info {
  size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};

/* fill_heap takes every free block of malloc's heap below its top. */
static void fill_heap(void) {
  struct info (*info)(void);
  *(void **)&info = dlsym(RTLD_DEFAULT, "mallinfo2");
  if (!info) return; /* an older glibc, or another C library */
  uintptr_t top = (uintptr_t)sbrk(0), end = top - info().keepcost - 4 * STEP;
  uintptr_t begin = top - info().arena;
  for (size_t size = LARGEST; size >= STEP; size -= STEP) {
    uintptr_t p;
    while ((p = (uintptr_t)malloc(size)) >= begin && p < end) {
    }
    free((void *)p);
  }
}

/* fill_pools takes every free block of the pools that are in use. The first block of
 * a pool shows that a new one was begun; if it was free in an old one, too little is
 * filled, and that is all. */
static void fill_pools(void) {
  void *(*take)(size_t);
  void (*give)(void *);
  *(void **)&take = dlsym(RTLD_DEFAULT, "PyObject_Malloc");
  *(void **)&give = dlsym(RTLD_DEFAULT, "PyObject_Free");
  if (!take || !give) return;
  for (size_t size = SMALL; size >= STEP; size -= STEP) {
    void *p;
    int most = (int)(LARGEST / size); /* should there be no pools after all */
    while (most-- > 0 && (p = take(size)) && (uintptr_t)p % POOL != POOL_HEADER) {
    }
    if (most >= 0) give(p);
  }
}

void gw_fill_holes(int pools) {
  if (pools) fill_pools();
  fill_heap();
}

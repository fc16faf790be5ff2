#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MEM_MAX ((size_t)1 << 47)

void *mem_array(size_t n, size_t size)
{
	if (size && n > MEM_MAX / size)
		return NULL;
	return calloc(n ? n : 1, size ? size : 1);
}

char *mem_text(const char *p, size_t n)
{
	char *s = malloc(n + 1);
	if (!s)
		return NULL;
	memcpy(s, p, n);
	s[n] = '\0';
	return s;
}

int mem_grow(void *p_to_pointer, size_t *cap, size_t n, size_t size)
{
	void **p = p_to_pointer;
	if (n <= *cap)
		return 0;
	size_t want = *cap + *cap / 2 + 8;
	if (want < n)
		want = n;
	if (want > MEM_MAX / size)
		return -1;
	void *q = realloc(*p, want * size);
	if (!q)
		return -1;
	*p = q;
	*cap = want;
	return 0;
}

void *mem_pages(size_t bytes)
{
	void *p = mmap(NULL, mem_align_up(bytes ? bytes : 1, MEM_PAGE), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

void mem_pages_free(void *p, size_t bytes)
{
	if (p)
		munmap(p, mem_align_up(bytes ? bytes : 1, MEM_PAGE));
}

void mem_discard(void *p, size_t bytes)
{
	uintptr_t from = (uintptr_t)mem_align_up((uintptr_t)p, MEM_PAGE);
	uintptr_t to = (uintptr_t)mem_align_down((uintptr_t)p + bytes, MEM_PAGE);
	if (to > from)
		madvise((void *)from, to - from, MADV_DONTNEED);
}

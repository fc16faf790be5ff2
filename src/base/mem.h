/* Memory beside malloc: overflow-checked arrays and page-aligned regions. */
#ifndef AIRLCHAT_BASE_MEM_H
#define AIRLCHAT_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

#define MEM_PAGE ((size_t)4096) /* alignment that direct reads need */

/* calloc that also refuses products over 2^47; free() releases. NULL on failure. */
void *mem_array(size_t n, size_t size);

/* A copy of n bytes, which may hold NULs, with a NUL behind it. free(); NULL when out of memory. */
char *mem_text(const char *p, size_t n);

/* Grow *p (an array with *cap elements of `size` bytes) to hold n; 0, or -1 with *p unchanged.
 * New elements are not cleared. */
int mem_grow(void *p_to_pointer, size_t *cap, size_t n, size_t size);

/* Zeroed pages straight from the system (mmap), given back at once by mem_pages_free. Pages take
 * memory only when first touched. NULL on failure. */
void *mem_pages(size_t bytes);
void mem_pages_free(void *p, size_t bytes);

/* Give the whole pages inside p[0..bytes) back to the system; what was in them is lost (they read as
 * zero). For parts of large allocations that are not needed any more before all of it is freed. */
void mem_discard(void *p, size_t bytes);

static inline uint64_t mem_align_down(uint64_t x, uint64_t a)
{
	return x / a * a;
}

static inline uint64_t mem_align_up(uint64_t x, uint64_t a)
{
	return (x + a - 1) / a * a;
}

#endif

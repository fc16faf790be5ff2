/* For LD_PRELOAD: reads of a model's files fail as the file that FAULTS names says, which may change while the
 * program runs. Each of its lines is a rule: KIND PART FROM TO SKIP TIMES, for the files whose path contains PART
 * and reads that touch the bytes FROM..TO-1; the first SKIP of them pass, TIMES (-1: all) after that don't.
 * KIND is an errno, or -N: N microseconds late. Only what goes through pread: --reader pread. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RULES 8

struct rule {
	int kind;
	char part[200];
	long long from, to, skip, times;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static struct rule rules[RULES];
static int n_rules;
static struct timespec read_at; /* the rules' time of change */

static void read_rules(void)
{
	const char *path = getenv("FAULTS");
	struct stat st;
	if (!path || stat(path, &st) < 0 ||
		(st.st_mtim.tv_sec == read_at.tv_sec && st.st_mtim.tv_nsec == read_at.tv_nsec))
		return;
	FILE *f = fopen(path, "r");
	struct rule *r = rules;
	read_at = st.st_mtim;
	while (f && r < rules + RULES &&
		fscanf(f, "%d %199s %lld %lld %lld %lld", &r->kind, r->part, &r->from, &r->to, &r->skip, &r->times) == 6)
		r++;
	n_rules = (int)(r - rules);
	if (f)
		fclose(f);
}

/* An errno; negative: microseconds; 0: nothing is to happen. */
static int what_happens(int fd, size_t bytes, long long offset)
{
	char link[64], path[4096];
	int kind = 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	pthread_mutex_lock(&lock);
	read_rules();
	for (struct rule *r = rules; r < rules + n_rules && !kind; r++) {
		if (!strstr(path, r->part) || offset >= r->to || offset + (long long)bytes <= r->from || r->times == 0)
			continue;
		if (r->skip-- > 0)
			continue;
		r->times -= r->times > 0;
		kind = r->kind;
	}
	pthread_mutex_unlock(&lock);
	return kind;
}

static ssize_t faulty(int fd, void *p, size_t bytes, long long offset)
{
	static ssize_t (*real)(int, void *, size_t, off_t);
	int kind = what_happens(fd, bytes, offset);
	if (!__atomic_load_n(&real, __ATOMIC_ACQUIRE)) {
		ssize_t (*found)(int, void *, size_t, off_t);
		*(void **)&found = dlsym(RTLD_NEXT, "pread64");
		__atomic_store_n(&real, found, __ATOMIC_RELEASE);
	}
	if (kind > 0) {
		errno = kind;
		return -1;
	}
	if (kind < 0)
		nanosleep(&(struct timespec){-kind / 1000000, -kind % 1000000 * 1000L}, NULL);
	return real(fd, p, bytes, (off_t)offset);
}

ssize_t pread(int fd, void *p, size_t bytes, off_t offset);
ssize_t pread64(int fd, void *p, size_t bytes, off_t offset);

ssize_t pread(int fd, void *p, size_t bytes, off_t offset)
{
	return faulty(fd, p, bytes, offset);
}

ssize_t pread64(int fd, void *p, size_t bytes, off_t offset)
{
	return faulty(fd, p, bytes, offset);
}

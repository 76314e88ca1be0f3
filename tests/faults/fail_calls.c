// SPDX-License-Identifier: Apache-2.0
// Preloaded into the program under test (tests/faults/run.py): makes the n-th system call of a kind fail. Only calls on files whose path begins with FAIL_UNDER count.
//   FAIL_CALL    open (that creates), write, fsync, rename, remove, ftruncate, malloc (in any thread), worker (malloc outside of the main thread), clock, short
//   FAIL_AT      which call, from 1; 0: none, only count
//   FAIL_FOR     how many in a row fail from there on
//   FAIL_ERRNO   the number that errno gets
//   FAIL_SIGNAL  what the process sends itself instead; a write that is to be killed writes its first half
//   FAIL_COUNTS  file that gets "CALL COUNT" lines at the end
// `short` cuts each write in two and interrupts (EINTR) every other write and fsync: nothing that a program may notice. `clock` sets the wall clock back by a year.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { OPEN, WRITE, FSYNC, RENAME, REMOVE, FTRUNCATE, MALLOC, WORKER, CLOCK, SHORT, KINDS };
static const char* const names[KINDS] = {"open", "write", "fsync", "rename", "remove", "ftruncate", "malloc", "worker", "clock", "short"};
static const size_t large = 16384;  // smaller allocations are not counted: they are thousands, and most belong to the libraries' start

static atomic_long counts[KINDS];
static const char* under;
static int kind = KINDS, number, sent;
static long first, last;
static uintptr_t torch_begin, torch_end;

static int find_torch(struct dl_phdr_info* library, size_t size, void* nothing) {
  (void)size, (void)nothing;
  if (!strstr(library->dlpi_name, "libtorch_cpu.so")) return 0;
  torch_begin = library->dlpi_addr;
  for (int i = 0; i < library->dlpi_phnum; ++i) {
    const uintptr_t end = library->dlpi_addr + library->dlpi_phdr[i].p_vaddr + library->dlpi_phdr[i].p_memsz;
    if (library->dlpi_phdr[i].p_type == PT_LOAD && end > torch_end) torch_end = end;
  }
  return 1;
}

__attribute__((constructor)) static void setup(void) {
  const char *call = getenv("FAIL_CALL"), *at = getenv("FAIL_AT"), *length = getenv("FAIL_FOR"), *error = getenv("FAIL_ERRNO"), *sends = getenv("FAIL_SIGNAL");
  first = at ? atol(at) : 0;
  last = first + (length ? atol(length) : 1) - 1;
  number = error ? atoi(error) : EIO;
  sent = sends ? atoi(sends) : 0;
  under = getenv("FAIL_UNDER");
  dl_iterate_phdr(find_torch, NULL);
  for (int i = 0; call && i < KINDS; ++i)
    if (strcmp(call, names[i]) == 0) kind = i;
}

static void send_signal(void) {
  if (sent) syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), sent);  // to this thread: it is handled before the next instruction
}

// Counts a call, and says whether it is to fail.
static int fails(int call) {
  const long n = atomic_fetch_add(&counts[call], 1) + 1;
  if (call != kind || first == 0 || n < first || n > last) return 0;
  if (sent && sent != SIGKILL) return send_signal(), 0;
  errno = number;
  return 1;
}

static int counted(const char* path) { return under && strncmp(path, under, strlen(under)) == 0; }

static int counted_fd(int fd) {
  if (!under) return 0;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t n = readlink(link, path, sizeof path - 1);
  if (n < 0) return 0;
  path[n] = 0;
  return counted(path);
}

int open(const char* path, int flags, ...) {
  mode_t mode = 0;
  if (flags & O_CREAT) {
    va_list more;
    va_start(more, flags);
    mode = va_arg(more, mode_t);
    va_end(more);
    if (counted(path) && fails(OPEN)) return send_signal(), -1;
  }
  return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open64(const char* path, int flags, ...) __attribute__((alias("open")));

ssize_t write(int fd, const void* from, size_t size) {
  if (counted_fd(fd)) {
    if (fails(WRITE)) {
      if (sent) syscall(SYS_write, fd, from, size / 2);
      return send_signal(), -1;
    }
    if (kind == SHORT) {
      if (fails(SHORT), atomic_load(&counts[SHORT]) % 2 == 0) return errno = EINTR, -1;
      size = (size + 1) / 2;
    }
  }
  return syscall(SYS_write, fd, from, size);
}

int fsync(int fd) {
  if (counted_fd(fd)) {
    if (fails(FSYNC)) return send_signal(), -1;
    if (kind == SHORT && (fails(SHORT), atomic_load(&counts[SHORT]) % 2 == 0)) return errno = EINTR, -1;
  }
  return (int)syscall(SYS_fsync, fd);
}

int rename(const char* from, const char* to) {
  if (counted(to) && fails(RENAME)) return send_signal(), -1;
  return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int remove(const char* path) {  // what std::filesystem::remove calls
  if (counted(path) && fails(REMOVE)) return send_signal(), -1;
  if (unlink(path) == 0) return 0;
  return errno == EISDIR ? rmdir(path) : -1;
}

int ftruncate(int fd, off_t size) {
  if (counted_fd(fd) && fails(FTRUNCATE)) return send_signal(), -1;
  return (int)syscall(SYS_ftruncate, fd, size);
}

extern void* __libc_malloc(size_t);
extern void* __libc_memalign(size_t, size_t);

static int allocation_fails(size_t size) {
  if (size < large) return 0;
  number = ENOMEM;
  const int worker = syscall(SYS_gettid) != getpid() && fails(WORKER);
  return fails(MALLOC) || worker;
}

// oneDNN, inside of libtorch_cpu.so, does not look whether it got its buffers, and no caller of LibTorch can help that. Tensors come from libc10.so.
static int from_onednn(const void* caller) { return torch_begin <= (uintptr_t)caller && (uintptr_t)caller < torch_end; }

void* malloc(size_t size) { return (kind == MALLOC || kind == WORKER) && allocation_fails(size) ? NULL : __libc_malloc(size); }

int posix_memalign(void** out, size_t alignment, size_t size) {
  if ((kind == MALLOC || kind == WORKER) && !from_onednn(__builtin_return_address(0)) && allocation_fails(size)) return ENOMEM;
  *out = __libc_memalign(alignment, size);
  return *out ? 0 : ENOMEM;
}

time_t time(time_t* out) {
  struct timespec now;
  syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
  const time_t seconds = now.tv_sec - (kind == CLOCK && fails(CLOCK) ? 31536000 : 0);
  if (out) *out = seconds;
  return seconds;
}

int clock_gettime(clockid_t clock, struct timespec* now) {
  const int result = (int)syscall(SYS_clock_gettime, clock, now);
  if (result == 0 && clock == CLOCK_REALTIME && kind == CLOCK && fails(CLOCK)) now->tv_sec -= 31536000;
  return result;
}

static void report(void) {
  const char* path = getenv("FAIL_COUNTS");
  if (!path) return;
  char text[512];
  int used = 0;
  for (int i = 0; i < KINDS; ++i) used += snprintf(text + used, sizeof text - (size_t)used, "%s %ld\n", names[i], atomic_load(&counts[i]));
  const int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (fd >= 0 && syscall(SYS_write, fd, text, (size_t)used) >= 0) syscall(SYS_close, fd);
}

// How the program ends.
void _exit(int code) {
  report();
  for (;;) syscall(SYS_exit_group, code);
}

/* Preloaded into a process: writes down how far each file has been synced, so that after a kill everything beyond can be
 * cut off, as a power loss might. The journal is a plain file of lines, appended after the real call has succeeded:
 *
 *     sync <bytes> <path>      fsync, fdatasync: the file is safe up to its present length
 *     move <from>\t<to>        rename
 *
 * With POWERLOSS_DEAF=1 syncs of write-ahead logs (*.log) are done but not written down: to show that the checker notices
 * a missing sync.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void note(const char *line, int length) {
  const char *path = getenv("POWERLOSS_JOURNAL");
  if (!path) return;
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return;
  if (write(fd, line, length) != length) abort();
  close(fd);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* The length is taken before the call: what another thread appends meanwhile is not promised by it. */
static long long length_of(int fd) {
  struct stat found;
  return fstat(fd, &found) || !S_ISREG(found.st_mode) ? -1 : (long long)found.st_size;
}

static int synced(int fd, long long length, int result) {
  char link[64], path[PATH_MAX], line[PATH_MAX + 64];
  if (result || length < 0) return result;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t end = readlink(link, path, sizeof path - 1);
  if (end < 0) return result;
  path[end] = 0;
  if (getenv("POWERLOSS_DEAF") && end > 4 && !strcmp(path + end - 4, ".log")) return result;
  note(line, snprintf(line, sizeof line, "sync %lld %s\n", length, path));
  return result;
}

int fsync(int fd) {
  long long length = length_of(fd);
  return synced(fd, length, REAL(fsync)(fd));
}

int fdatasync(int fd) {
  long long length = length_of(fd);
  return synced(fd, length, REAL(fdatasync)(fd));
}

int rename(const char *from, const char *to) {
  int result = REAL(rename)(from, to);
  char line[2 * PATH_MAX + 64], a[PATH_MAX], b[PATH_MAX];
  if (result == 0 && realpath(to, b)) {
    /* `from` is gone: resolve its directory, keep its name. */
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", from);
    char *slash = strrchr(copy, '/');
    if (slash) {
      *slash = 0;
      if (!realpath(copy, a)) return result;
      note(line, snprintf(line, sizeof line, "move %s/%s\t%s\n", a, slash + 1, b));
    }
  }
  return result;
}

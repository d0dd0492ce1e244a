/* Preloaded into arex: makes calls of the C library fail, as a full disk or a machine without memory would.
 *
 * Only arex itself gets it: the daemon, its forkserver and the supervisors, not the programs and payloads that they
 * start. $AREX_SHIM names a file that is mapped into all of them, see shim.py: it says what is to fail, and counts.
 * A site is a process role, a function and a kind of path, in which ids and numbers are replaced: one entry of a table.
 * Only paths below the directory of the site are concerned; in /proc, only opening for want of descriptors or memory. */
#define _GNU_SOURCE
#include <alloca.h>
#include <ctype.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SITES = 4096, ARMS = 16, NAME = 112, ERRORS = 4 };
enum { SPACE = 1, IO = 2, FILES = 4, MEMORY = 8 }; /* bits of what a function may fail with, in the order of errors[] */
static const int errors[ERRORS] = {ENOSPC, EIO, EMFILE, ENOMEM};

struct site { uint64_t hash; uint32_t calls, failures, kinds, unused; char name[NAME]; };
struct arm { int32_t site, skip, bit; uint32_t fired; };
static struct control {
    uint32_t per_million, kinds;      /* of all calls, and the bits of the errors */
    uint32_t failures[ERRORS];
    uint64_t dice;
    char root[512];
    struct arm arms[ARMS];            /* site -1: not armed */
    struct site sites[SITES];
} *shared;

static char library[1024], control_path[1024];
static pid_t first;
static int forkserver;

__attribute__((constructor)) static void begin(void) {
    char line[4096] = "";
    Dl_info self;
    const char *path = getenv("AREX_SHIM");
    if (!path || !dladdr((void *)begin, &self)) return;
    snprintf(library, sizeof library, "LD_PRELOAD=%s", self.dli_fname);
    snprintf(control_path, sizeof control_path, "AREX_SHIM=%s", path);
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) _exit(97);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (shared == MAP_FAILED) _exit(98);
    unsetenv("LD_PRELOAD");
    unsetenv("AREX_SHIM");
    first = getpid();
    fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC, 0);
    ssize_t n = syscall(SYS_read, fd, line, sizeof line - 1);
    syscall(SYS_close, fd);
    forkserver = n > 0 && memmem(line, n, "lrms.fork.server", 16) != NULL;
}

static const char *role(void) { return !forkserver ? "daemon" : getpid() == first ? "forkserver" : "supervisor"; }

static uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Words of letters and digits that have a digit or are long become "@": ids, pids, times. */
static void kind_of(const char *path, char *out, size_t room) {
    size_t n = 0;
    while (*path && n + 2 < room) {
        size_t length = 0, digits = 0;
        while (isalnum((unsigned char)path[length])) digits += isdigit((unsigned char)path[length++]) != 0;
        if (length == 0) {
            out[n++] = *path++;
        } else if (digits || length > 20) {
            out[n++] = '@';
            path += length;
        } else {
            while (length-- && n + 2 < room) out[n++] = *path++;
        }
    }
    out[n] = 0;
}

static int entry(const char *name, uint32_t kinds) {
    uint64_t hash = 1469598103934665603u;
    for (const char *c = name; *c; c++) hash = (hash ^ (unsigned char)*c) * 1099511628211u;
    for (unsigned i = 0; i < SITES; i++) {
        struct site *site = &shared->sites[(hash + i) % SITES];
        uint64_t none = 0;
        if (site->hash == 0 && __atomic_compare_exchange_n(&site->hash, &none, hash, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            snprintf(site->name, NAME, "%s", name);
            site->kinds = kinds;
        }
        if (site->hash == hash) return (int)((hash + i) % SITES);
    }
    return -1;
}

/* Whether this call is to fail; errno is set then. */
static int fails(const char *function, const char *kind, uint32_t kinds) {
    int kept = errno, bit = -1;
    char name[NAME];
    snprintf(name, sizeof name, "%s %s %s", role(), function, kind);
    int site = entry(name, kinds);
    if (site < 0) return 0;
    __atomic_add_fetch(&shared->sites[site].calls, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < ARMS && bit < 0; i++) {
        struct arm *arm = &shared->arms[i];
        if (arm->site != site || __atomic_fetch_sub(&arm->skip, 1, __ATOMIC_SEQ_CST) != 0) continue;
        bit = arm->bit;
        arm->site = -1;
        __atomic_add_fetch(&arm->fired, 1, __ATOMIC_SEQ_CST);
    }
    kinds &= shared->kinds;
    if (bit < 0 && shared->per_million && kinds) {
        uint64_t dice = mix(__atomic_fetch_add(&shared->dice, 1, __ATOMIC_SEQ_CST));
        if (dice % 1000000 < shared->per_million)
            for (bit = (dice >> 40) % ERRORS; !(kinds & 1u << bit);) bit = (bit + 1) % ERRORS;
    }
    errno = kept;
    if (bit < 0) return 0;
    __atomic_add_fetch(&shared->failures[bit], 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&shared->sites[site].failures, 1, __ATOMIC_SEQ_CST);
    errno = errors[bit];
    return 1;
}

static int at(const char *function, int dir, const char *path, uint32_t kinds) {
    char whole[4096], link[64], kind[NAME];
    if (!shared || !path) return 0;
    int kept = errno;
    if (path[0] != '/') {
        ssize_t n;
        if (dir == AT_FDCWD) strcpy(link, "/proc/self/cwd");
        else snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
        n = syscall(SYS_readlinkat, AT_FDCWD, link, whole, sizeof whole / 2);
        errno = kept;
        if (n <= 0) return 0;
        snprintf(whole + n, sizeof whole - n, "%s%s", *path ? "/" : "", path);
        path = whole;
    }
    size_t length = strlen(shared->root);
    if (strncmp(path, shared->root, length) == 0 && (path[length] == '/' || !path[length])) path += length;
    else if (strncmp(path, "/proc/", 6) == 0) kinds &= FILES | MEMORY;
    else return 0;
    if (!kinds) return 0;
    kind_of(path, kind, sizeof kind - 32);
    return fails(function, kind, kinds);
}
static int on(const char *function, int fd, uint32_t kinds) {
    char path[4096], link[64];
    if (!shared) return 0;
    int kept = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    errno = kept;
    if (n <= 0 || path[0] != '/' || strncmp(path, "/proc/", n < 6 ? n : 6) == 0) return 0;
    path[n] = 0;
    return at(function, AT_FDCWD, path, kinds);
}
static int nowhere(const char *function, uint32_t kinds) { return shared && fails(function, "-", kinds); }

#define REAL(type, name, ...) static type (*real)(__VA_ARGS__); if (!real) real = dlsym(RTLD_NEXT, #name)
#define AT(type, name, dir, path, kinds, declared, given, ...) \
    type name declared { REAL(type, name, __VA_ARGS__); return at(#name, dir, path, kinds) ? -1 : real given; }
#define ON(type, name, kinds, declared, given, ...) \
    type name declared { REAL(type, name, __VA_ARGS__); return on(#name, fd, kinds) ? -1 : real given; }
#define OPEN(name, dir, declared, given, ...) int name declared { \
    va_list list; va_start(list, flags); int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, int) : 0; va_end(list); \
    REAL(int, name, __VA_ARGS__, ...); \
    return at(#name, dir, path, IO | FILES | MEMORY | (flags & O_CREAT ? SPACE : 0)) ? -1 : real given; }

OPEN(open, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode), const char *, int)
OPEN(open64, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode), const char *, int)
OPEN(openat, dir, (int dir, const char *path, int flags, ...), (dir, path, flags, mode), int, const char *, int)
OPEN(openat64, dir, (int dir, const char *path, int flags, ...), (dir, path, flags, mode), int, const char *, int)
AT(int, rename, AT_FDCWD, b, SPACE | IO | MEMORY, (const char *a, const char *b), (a, b), const char *, const char *)
AT(int, renameat, e, b, SPACE | IO | MEMORY, (int d, const char *a, int e, const char *b), (d, a, e, b), int, const char *, int, const char *)
AT(int, link, AT_FDCWD, b, SPACE | IO | MEMORY, (const char *a, const char *b), (a, b), const char *, const char *)
AT(int, linkat, e, b, SPACE | IO | MEMORY, (int d, const char *a, int e, const char *b, int f), (d, a, e, b, f), int, const char *, int, const char *, int)
AT(int, symlink, AT_FDCWD, b, SPACE | IO | MEMORY, (const char *a, const char *b), (a, b), const char *, const char *)
AT(int, unlink, AT_FDCWD, a, SPACE | IO | MEMORY, (const char *a), (a), const char *)
AT(int, unlinkat, d, a, SPACE | IO | MEMORY, (int d, const char *a, int f), (d, a, f), int, const char *, int)
AT(int, rmdir, AT_FDCWD, a, SPACE | IO | MEMORY, (const char *a), (a), const char *)
AT(int, mkdir, AT_FDCWD, a, SPACE | IO | MEMORY, (const char *a, mode_t m), (a, m), const char *, mode_t)
AT(int, mkdirat, d, a, SPACE | IO | MEMORY, (int d, const char *a, mode_t m), (d, a, m), int, const char *, mode_t)
AT(int, mkfifo, AT_FDCWD, a, SPACE | IO | MEMORY, (const char *a, mode_t m), (a, m), const char *, mode_t)
AT(int, chmod, AT_FDCWD, a, IO | MEMORY, (const char *a, mode_t m), (a, m), const char *, mode_t)
AT(int, fchmodat, d, a, IO | MEMORY, (int d, const char *a, mode_t m, int f), (d, a, m, f), int, const char *, mode_t, int)
AT(int, stat64, AT_FDCWD, a, IO | MEMORY, (const char *a, struct stat64 *s), (a, s), const char *, struct stat64 *)
AT(int, lstat64, AT_FDCWD, a, IO | MEMORY, (const char *a, struct stat64 *s), (a, s), const char *, struct stat64 *)
AT(int, fstatat64, d, a, IO | MEMORY, (int d, const char *a, struct stat64 *s, int f), (d, a, s, f), int, const char *, struct stat64 *, int)
ON(ssize_t, read, IO | MEMORY, (int fd, void *b, size_t n), (fd, b, n), int, void *, size_t)
ON(ssize_t, pread64, IO | MEMORY, (int fd, void *b, size_t n, off64_t o), (fd, b, n, o), int, void *, size_t, off64_t)
ON(ssize_t, write, SPACE | IO | MEMORY, (int fd, const void *b, size_t n), (fd, b, n), int, const void *, size_t)
ON(ssize_t, pwrite64, SPACE | IO | MEMORY, (int fd, const void *b, size_t n, off64_t o), (fd, b, n, o), int, const void *, size_t, off64_t)
ON(int, fsync, SPACE | IO, (int fd), (fd), int)
ON(int, fdatasync, SPACE | IO, (int fd), (fd), int)
ON(int, fchmod, IO | MEMORY, (int fd, mode_t m), (fd, m), int, mode_t)
ON(int, ftruncate64, SPACE | IO | MEMORY, (int fd, off64_t n), (fd, n), int, off64_t)

DIR *opendir(const char *path) {
    REAL(DIR *, opendir, const char *);
    return at("opendir", AT_FDCWD, path, IO | FILES | MEMORY) ? NULL : real(path);
}
DIR *fdopendir(int fd) {
    REAL(DIR *, fdopendir, int);
    return on("fdopendir", fd, IO | MEMORY) ? NULL : real(fd);
}
int pipe2(int fds[2], int flags) {
    REAL(int, pipe2, int *, int);
    return nowhere("pipe2", FILES | MEMORY) ? -1 : real(fds, flags);
}
int socketpair(int domain, int type, int protocol, int fds[2]) {
    REAL(int, socketpair, int, int, int, int *);
    return nowhere("socketpair", FILES | MEMORY) ? -1 : real(domain, type, protocol, fds);
}
int socket(int domain, int type, int protocol) {
    REAL(int, socket, int, int, int);
    return nowhere("socket", FILES | MEMORY) ? -1 : real(domain, type, protocol);
}
pid_t fork(void) {
    REAL(pid_t, fork, void);
    return nowhere("fork", MEMORY) ? -1 : real();
}
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*begun)(void *), void *argument) {
    REAL(int, pthread_create, pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    return nowhere("pthread_create", MEMORY) ? EAGAIN : real(thread, attributes, begun, argument);
}
int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
                char *const argv[], char *const env[]) {
    REAL(int, posix_spawn, pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
         char *const *, char *const *);
    return nowhere("posix_spawn", MEMORY) ? errno : real(pid, path, actions, attributes, argv, env);
}

/* The forkserver gets the shim as well; this may be the child of a vfork, so nothing is allocated. */
int execve(const char *path, char *const argv[], char *const env[]) {
    REAL(int, execve, const char *, char *const *, char *const *);
    int ours = 0, n = 0;
    for (int i = 0; shared && argv[i]; i++) ours |= strstr(argv[i], "lrms.fork.server") != NULL;
    if (!ours) return real(path, argv, env);
    while (env && env[n]) n++;
    char **more = alloca((n + 3) * sizeof *more);
    memcpy(more, env, n * sizeof *more);
    more[n] = library;
    more[n + 1] = control_path;
    more[n + 2] = NULL;
    return real(path, argv, more);
}

/*
 * The wall clock of every process that preloads this library is SHIFT_S seconds ahead.
 *
 * Files that existed at START_S, when the shift began, keep their times: to change those of Python's modules would make
 * its compiled files invalid. What is written later has shifted times. A program reads back the time that it has given to
 * a file, and a wait until a moment ends at that moment. Elapsed time (CLOCK_MONOTONIC) does not change.
 *
 * libfaketime 0.9.10 (Debian 12) can't be used: it does not intercept stat64, fstatat64 and statx of glibc 2.33 and
 * later, so that a new file is as old as the shift, and it needs its settings in the environment of each process.
 */
#define _GNU_SOURCE
/* the plain names are defined here, not their 64-bit variants */
#undef _FILE_OFFSET_BITS
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <utime.h>

/* absolute times of CLOCK_MONOTONIC stay below it, those of CLOCK_REALTIME above */
#define WALL_CLOCK_S 1000000000
#define EXPORTED __attribute__((visibility("default")))

/* the functions of glibc; pthread_cond_timedwait also exists in an incompatible old version */
#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static struct timespec unshifted(const struct timespec *time) {
    struct timespec result = *time;
    if (result.tv_sec > WALL_CLOCK_S) result.tv_sec -= SHIFT_S;
    return result;
}

/* --- the wall clock --- */

static int is_wall_clock(clockid_t id) {
    return id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE || id == CLOCK_TAI;
}

EXPORTED int clock_gettime(clockid_t id, struct timespec *time) {
    REAL(clock_gettime);
    int code = real(id, time);
    if (code == 0 && is_wall_clock(id)) time->tv_sec += SHIFT_S;
    return code;
}

EXPORTED int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    REAL(gettimeofday);
    int code = real(time, zone);
    if (code == 0) time->tv_sec += SHIFT_S;
    return code;
}

EXPORTED time_t time(time_t *where) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (where) *where = now.tv_sec;
    return now.tv_sec;
}

EXPORTED int timespec_get(struct timespec *time, int base) {
    REAL(timespec_get);
    int code = real(time, base);
    if (code == TIME_UTC) time->tv_sec += SHIFT_S;
    return code;
}

/* --- waiting until a moment --- */

EXPORTED int clock_nanosleep(clockid_t id, int flags, const struct timespec *until, struct timespec *left) {
    REAL(clock_nanosleep);
    if (!(flags & TIMER_ABSTIME)) return real(id, flags, until, left);
    struct timespec moment = unshifted(until);
    return real(id, flags, &moment, left);
}

EXPORTED int timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old) {
    REAL(timerfd_settime);
    struct itimerspec timer = *new;
    if (flags & TFD_TIMER_ABSTIME) timer.it_value = unshifted(&new->it_value);
    return real(fd, flags, &timer, old);
}

EXPORTED int timer_settime(timer_t id, int flags, const struct itimerspec *new, struct itimerspec *old) {
    REAL(timer_settime);
    struct itimerspec timer = *new;
    if (flags & TIMER_ABSTIME) timer.it_value = unshifted(&new->it_value);
    return real(id, flags, &timer, old);
}

EXPORTED int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until) {
    REAL(sem_timedwait);
    struct timespec moment = unshifted(until);
    return real(semaphore, &moment);
}

EXPORTED int sem_clockwait(sem_t *restrict semaphore, clockid_t id, const struct timespec *restrict until) {
    REAL(sem_clockwait);
    struct timespec moment = unshifted(until);
    return real(semaphore, id, &moment);
}

EXPORTED int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict until) {
    REAL(pthread_mutex_timedlock);
    struct timespec moment = unshifted(until);
    return real(mutex, &moment);
}

EXPORTED int pthread_cond_timedwait(
    pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex, const struct timespec *restrict until) {
    static __typeof__(pthread_cond_timedwait) *real;
    /* x86-64 has an incompatible version of 1999 too, which dlsym may return */
    if (!real) real = (__typeof__(pthread_cond_timedwait) *)dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (!real) real = (__typeof__(pthread_cond_timedwait) *)dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    struct timespec moment = unshifted(until);
    return real(condition, mutex, &moment);
}

EXPORTED int pthread_cond_clockwait(
    pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex, clockid_t id,
    const struct timespec *restrict until) {
    REAL(pthread_cond_clockwait);
    struct timespec moment = unshifted(until);
    return real(condition, mutex, id, &moment);
}

/* --- times of files: read --- */

/* no run takes longer */
#define RUN_S 86400
/* times of the run that a program sets itself are stored this far ahead, within what ext4 can store (until 2446) */
#define APART_S 0x200000000

static int in_run(time_t time, time_t start) {
    return time >= start && time < start + RUN_S;
}

static time_t shown(time_t stored) {
    if (in_run(stored, START_S)) return stored + SHIFT_S;
    return in_run(stored, START_S + APART_S) ? stored - APART_S : stored;
}

static time_t stored(time_t shown) {
    if (in_run(shown, START_S + SHIFT_S)) return shown - SHIFT_S;
    return in_run(shown, START_S) ? shown + APART_S : shown;
}

#define SHIFT_STAT(status) \
    ((status)->st_atim.tv_sec = shown((status)->st_atim.tv_sec), \
     (status)->st_mtim.tv_sec = shown((status)->st_mtim.tv_sec), \
     (status)->st_ctim.tv_sec = shown((status)->st_ctim.tv_sec))

#define STAT_BY(name, key, type) \
    EXPORTED int name(key, struct type *restrict status) { \
        REAL(name); \
        int code = real(which, status); \
        if (code == 0) SHIFT_STAT(status); \
        return code; \
    }

STAT_BY(stat, const char *restrict which, stat)
STAT_BY(stat64, const char *restrict which, stat64)
STAT_BY(lstat, const char *restrict which, stat)
STAT_BY(lstat64, const char *restrict which, stat64)
STAT_BY(fstat, int which, stat)
STAT_BY(fstat64, int which, stat64)

#define STAT_AT(name, type) \
    EXPORTED int name(int directory, const char *restrict path, struct type *restrict status, int flags) { \
        REAL(name); \
        int code = real(directory, path, status, flags); \
        if (code == 0) SHIFT_STAT(status); \
        return code; \
    }

STAT_AT(fstatat, stat)
STAT_AT(fstatat64, stat64)

EXPORTED int statx(int directory, const char *restrict path, int flags, unsigned mask, struct statx *restrict status) {
    REAL(statx);
    int code = real(directory, path, flags, mask, status);
    if (code == 0) {
        status->stx_atime.tv_sec = shown(status->stx_atime.tv_sec);
        status->stx_mtime.tv_sec = shown(status->stx_mtime.tv_sec);
        status->stx_ctime.tv_sec = shown(status->stx_ctime.tv_sec);
        status->stx_btime.tv_sec = shown(status->stx_btime.tv_sec);
    }
    return code;
}

/* --- times of files: written --- */

/* UTIME_NOW and UTIME_OMIT are no times; "now" of the kernel is shifted when it is read */
static const struct timespec *file_times(const struct timespec given[2], struct timespec real[2]) {
    if (!given) return 0;
    for (int i = 0; i < 2; i++) {
        real[i] = given[i];
        if (given[i].tv_nsec != UTIME_NOW && given[i].tv_nsec != UTIME_OMIT) real[i].tv_sec = stored(given[i].tv_sec);
    }
    return real;
}

EXPORTED int utimensat(int directory, const char *path, const struct timespec times[2], int flags) {
    REAL(utimensat);
    struct timespec moved[2];
    return real(directory, path, file_times(times, moved), flags);
}

EXPORTED int futimens(int fd, const struct timespec times[2]) {
    REAL(futimens);
    struct timespec moved[2];
    return real(fd, file_times(times, moved));
}

static const struct timespec *from_microseconds(const struct timeval given[2], struct timespec result[2]) {
    if (!given) return 0;
    for (int i = 0; i < 2; i++) result[i] = (struct timespec){given[i].tv_sec, given[i].tv_usec * 1000};
    return result;
}

EXPORTED int utimes(const char *path, const struct timeval times[2]) {
    struct timespec precise[2];
    return utimensat(AT_FDCWD, path, from_microseconds(times, precise), 0);
}

EXPORTED int lutimes(const char *path, const struct timeval times[2]) {
    struct timespec precise[2];
    return utimensat(AT_FDCWD, path, from_microseconds(times, precise), AT_SYMLINK_NOFOLLOW);
}

EXPORTED int futimes(int fd, const struct timeval times[2]) {
    struct timespec precise[2];
    return futimens(fd, from_microseconds(times, precise));
}

EXPORTED int utime(const char *path, const struct utimbuf *times) {
    struct timespec precise[2];
    if (!times) return utimensat(AT_FDCWD, path, 0, 0);
    precise[0] = (struct timespec){times->actime, 0};
    precise[1] = (struct timespec){times->modtime, 0};
    return utimensat(AT_FDCWD, path, precise, 0);
}

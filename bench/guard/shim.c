/* Preloaded under valgrind, so that two runs of one tree execute the same instructions.
 *
 * The clock advances by the same step at every call: the budget between two turns of the loop is counted in
 * operations and bytes then, never in time, which passes fifty times as slowly there. And openat2, which
 * valgrind before 3.24 does not know, becomes openat: files are opened inline as they are without valgrind.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <time.h>

#define STEP_NANOSECONDS 100
#define SECOND 1000000000L

static long kernel(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    if (result < 0 && result > -4096) {
        errno = (int)-result;
        return -1;
    }
    return result;
}

long syscall(long number, ...)
{
    va_list list;
    va_start(list, number);
    long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long);
    long d = va_arg(list, long), e = va_arg(list, long), f = va_arg(list, long);
    va_end(list);
    if (number == SYS_openat2) {
        const struct open_how *how = (const struct open_how *)c;
        return kernel(SYS_openat, a, b, (long)how->flags, (long)how->mode, 0, 0);
    }
    return kernel(number, a, b, c, d, e, f);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static _Atomic long calls;
    if (clock != CLOCK_MONOTONIC)
        return (int)kernel(SYS_clock_gettime, clock, (long)now, 0, 0, 0, 0);
    long passed = SECOND + STEP_NANOSECONDS * calls++;
    now->tv_sec = passed / SECOND;
    now->tv_nsec = passed % SECOND;
    return 0;
}

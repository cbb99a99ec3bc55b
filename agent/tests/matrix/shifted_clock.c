/*
 * Runs a program whose clocks can be shifted while it runs, to simulate a suspended machine or a corrected
 * wall clock, without changing the machine's own clocks and without support in the program.
 *
 *     shifted_clock SHIFTS PROGRAM ARGUMENT...
 *
 * SHIFTS is a file of two numbers of nanoseconds (int64_t, native byte order): what is added to
 * CLOCK_BOOTTIME and what is added to CLOCK_REALTIME whenever the program reads them. A machine
 * that slept for a minute shows a minute more on both; CLOCK_MONOTONIC and all timers are unaffected.
 *
 * Programs read clocks in the vDSO, a library that the kernel maps into every process, without a system
 * call. Its functions are overwritten with the plain system call (to a tracer they are private memory),
 * a seccomp filter stops the program at that call, and the tracer changes the result.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <sys/user.h>
#define ARCHITECTURE AUDIT_ARCH_X86_64
#define GETTIME "__vdso_clock_gettime"
/* mov $228, %eax; syscall; ret */
static const unsigned char plain_call[8] = {0xb8, 0xe4, 0x00, 0x00, 0x00, 0x0f, 0x05, 0xc3};
typedef struct user_regs_struct registers;
#define FIRST(r) ((r).rdi)
#define SECOND(r) ((r).rsi)
#define RESULT(r) ((long)(r).rax)
#define STACK(r) ((r).rsp)
#elif defined(__aarch64__)
#include <asm/ptrace.h>
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#define GETTIME "__kernel_clock_gettime"
/* mov x8, #113; svc #0; ret; nop */
static const uint32_t plain_call[4] = {0xd2800e28, 0xd4000001, 0xd65f03c0, 0xd503201f};
typedef struct user_pt_regs registers;
#define FIRST(r) ((r).regs[0])
#define SECOND(r) ((r).regs[1])
#define RESULT(r) ((long)(r).regs[0])
#define STACK(r) ((r).sp)
#else
#error "unsupported processor"
#endif

static void fail(const char *what) {
    fprintf(stderr, "shifted_clock: %s: %s\n", what, strerror(errno));
    exit(70);
}

static void get_registers(pid_t thread, registers *r) {
    struct iovec vector = {r, sizeof *r};
    if (ptrace(PTRACE_GETREGSET, thread, (void *)NT_PRSTATUS, &vector) != 0)
        memset(r, 0, sizeof *r); /* the thread is gone */
}

/* The offset of clock_gettime in the vDSO, from this program's own mapping of it. */
static size_t offset_of_gettime(void) {
    const char *base = (const char *)getauxval(AT_SYSINFO_EHDR);
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)base;
    const Elf64_Phdr *segments = (const Elf64_Phdr *)(base + header->e_phoff);
    const Elf64_Dyn *dynamic = NULL;
    for (int i = 0; i < header->e_phnum; i++)
        if (segments[i].p_type == PT_DYNAMIC)
            dynamic = (const Elf64_Dyn *)(base + segments[i].p_offset);
    const Elf64_Sym *symbols = NULL;
    const char *names = NULL;
    for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++) {
        if (dynamic->d_tag == DT_SYMTAB) symbols = (const Elf64_Sym *)(base + dynamic->d_un.d_ptr);
        if (dynamic->d_tag == DT_STRTAB) names = base + dynamic->d_un.d_ptr;
    }
    /* The string table follows the symbol table and so marks its end. */
    for (const Elf64_Sym *symbol = symbols; symbols && (const char *)symbol < names; symbol++)
        if (strcmp(names + symbol->st_name, GETTIME) == 0) return symbol->st_value;
    fprintf(stderr, "shifted_clock: the vDSO has no %s\n", GETTIME);
    exit(70);
}

/* Overwrites the function in a program that has just been loaded. Its auxiliary vector on the stack,
 * behind arguments and environment, holds the address of the vDSO. */
static void patch(pid_t program, size_t offset) {
    registers r;
    get_registers(program, &r);
    unsigned long address = STACK(r);
    errno = 0;
    address += sizeof(long) * (1 + (unsigned long)ptrace(PTRACE_PEEKDATA, program, (void *)address, NULL) + 1);
    while (ptrace(PTRACE_PEEKDATA, program, (void *)address, NULL) != 0) address += sizeof(long);
    address += sizeof(long);
    for (;; address += 2 * sizeof(long)) {
        long kind = ptrace(PTRACE_PEEKDATA, program, (void *)address, NULL);
        if (kind == AT_NULL || errno != 0) {
            fprintf(stderr, "shifted_clock: the program has no vDSO\n");
            exit(70);
        }
        if (kind == AT_SYSINFO_EHDR) break;
    }
    long base = ptrace(PTRACE_PEEKDATA, program, (void *)(address + sizeof(long)), NULL);
    for (size_t i = 0; i < sizeof plain_call; i += sizeof(long)) {
        long word;
        memcpy(&word, (const char *)plain_call + i, sizeof word);
        if (ptrace(PTRACE_POKETEXT, program, (void *)(base + offset + i), (void *)word) != 0)
            fail("the vDSO cannot be overwritten");
    }
}

/* Adds a shift to the time that a thread has just read into its memory. */
static void shift(pid_t thread, unsigned long address, int64_t nanoseconds) {
    struct timespec time;
    struct iovec here = {&time, sizeof time}, there = {(void *)address, sizeof time};
    if (process_vm_readv(thread, &here, 1, &there, 1, 0) != sizeof time) return;
    int64_t sum = (int64_t)time.tv_sec * 1000000000 + time.tv_nsec + nanoseconds;
    if (sum < 0) sum = 0;
    time.tv_sec = sum / 1000000000;
    time.tv_nsec = sum % 1000000000;
    process_vm_writev(thread, &here, 1, &there, 1, 0);
}

static void become_program(char **program) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_gettime, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog rules = {sizeof filter / sizeof *filter, filter};
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) fail("PTRACE_TRACEME");
    raise(SIGSTOP); /* wait until the tracer has set its options */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("PR_SET_NO_NEW_PRIVS");
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &rules) != 0) fail("PR_SET_SECCOMP");
    execvp(program[0], program);
    fail(program[0]);
}

/* Threads in a clock_gettime call: its arguments are needed when it returns, and some
 * architectures have overwritten the first one by then. */
static struct reading {
    pid_t thread;
    long clock;
    unsigned long address;
} readings[64];

/* The reading of a thread; with thread 0, a free slot. */
static struct reading *reading_of(pid_t thread) {
    for (size_t i = 0; i < sizeof readings / sizeof *readings; i++)
        if (readings[i].thread == thread) return &readings[i];
    fprintf(stderr, "shifted_clock: the program has too many threads\n");
    exit(70);
}

static pid_t program;

static void pass_on(int signal) {
    kill(program, signal);
}

int main(int count, char **arguments) {
    if (count < 3) {
        fprintf(stderr, "usage: shifted_clock SHIFTS PROGRAM ARGUMENT...\n");
        return 64;
    }
    int file = open(arguments[1], O_RDONLY);
    if (file < 0) fail(arguments[1]);
    const volatile int64_t *shifts = mmap(NULL, 2 * sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    if (shifts == MAP_FAILED) fail(arguments[1]);
    size_t offset = offset_of_gettime();
    program = fork();
    if (program < 0) fail("fork");
    if (program == 0) become_program(arguments + 2);
    signal(SIGTERM, pass_on);
    signal(SIGINT, pass_on);
    signal(SIGHUP, pass_on);
    int status;
    if (waitpid(program, &status, 0) != program) fail("the program did not start");
    long options = PTRACE_O_EXITKILL | PTRACE_O_TRACEEXEC | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                   PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD;
    if (ptrace(PTRACE_SETOPTIONS, program, NULL, (void *)options) != 0) fail("PTRACE_SETOPTIONS");
    ptrace(PTRACE_CONT, program, NULL, NULL);
    for (;;) {
        pid_t thread = waitpid(-1, &status, __WALL);
        if (thread < 0 && errno == EINTR) continue;
        if (thread < 0) return 70;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (thread != program) continue;
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        int event = status >> 16, stopped_by = WSTOPSIG(status);
        long delivered = 0;
        enum __ptrace_request next = PTRACE_CONT;
        if (event == PTRACE_EVENT_EXEC) {
            patch(thread, offset);
        } else if (event == PTRACE_EVENT_SECCOMP) {
            registers r;
            get_registers(thread, &r);
            long clock = (long)FIRST(r);
            if (clock == CLOCK_BOOTTIME || clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) {
                *reading_of(0) = (struct reading){thread, clock, SECOND(r)};
                next = PTRACE_SYSCALL; /* stop again when the call returns */
            }
        } else if (stopped_by == (SIGTRAP | 0x80)) {
            registers r;
            get_registers(thread, &r);
            struct reading *reading = reading_of(thread);
            if (RESULT(r) == 0)
                shift(thread, reading->address, shifts[reading->clock == CLOCK_BOOTTIME ? 0 : 1]);
            reading->thread = 0;
        } else if (event == 0 && stopped_by != SIGSTOP && stopped_by != SIGTRAP) {
            delivered = stopped_by;
        }
        ptrace(next, thread, NULL, (void *)delivered);
    }
}

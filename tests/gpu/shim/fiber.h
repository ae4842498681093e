// Coroutines: fiber_switch(from, to) saves where `from` is and goes on where `to` was.
#pragma once
#if defined(__x86_64__)
// A dozen instructions, where ucontext asks the kernel twice about signals.
struct Fiber { void *sp; };
extern "C" void shim_switch(void **from, void *to);
asm(".text\n.type shim_switch, @function\nshim_switch:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp, (%rdi)\nmov %rsi, %rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n.size shim_switch, .-shim_switch\n");
static inline void fiber_switch(Fiber *from, Fiber *to) { shim_switch(&from->sp, to->sp); }
static inline void fiber_make(Fiber *f, char *stack, size_t size, void (*start)())
{
    void **top = (void **)(stack + size - 64);      // a call pushes 8 bytes: so much `start` finds the stack misaligned
    top[-1] = 0;
    top[-2] = (void *)start;
    f->sp = top - 8;
    memset(f->sp, 0, 6 * sizeof(void *));
}
#else
#include <ucontext.h>
struct Fiber { ucontext_t c; };
static inline void fiber_switch(Fiber *from, Fiber *to) { swapcontext(&from->c, &to->c); }
static inline void fiber_make(Fiber *f, char *stack, size_t size, void (*start)())
{
    getcontext(&f->c);
    f->c.uc_stack.ss_sp = stack;
    f->c.uc_stack.ss_size = size;
    f->c.uc_link = 0;
    makecontext(&f->c, start, 0);
}
#endif

/* start.c: the entry point of a program without libc: finds argc, argv and envp on the stack and calls main. */
#include "syscalls.h"

int main(int argc, char **argv, char **envp);
_Noreturn void ct_start(long *stack);

#if defined(__x86_64__)
__asm__(".text\n.globl _start\n_start:\n\txor %ebp,%ebp\n\tmov %rsp,%rdi\n\tand $-16,%rsp\n\tcall ct_start\n\thlt\n");
#else
__asm__(".text\n.globl _start\n_start:\n\tmov x29,#0\n\tmov x30,#0\n\tmov x0,sp\n\tand sp,x0,#-16\n\tb ct_start\n");
#endif

_Noreturn void ct_start(long *stack)
{
        int argc = (int)stack[0];
        char **argv = (char **)(stack + 1);
        quit(main(argc, argv, argv + argc + 1));
}

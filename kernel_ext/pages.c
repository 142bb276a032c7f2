/* What Python cannot do to its own memory: between two of its steps the interpreter has written to some of it.
   Declares what it uses, so that a compiler without the C library's headers will do. Linux. */

typedef unsigned long size;
extern void *mmap(void *, size, int, int, int, long);
extern long pwrite(int, const void *, size, long);
extern int madvise(void *, size, int);
extern int memcmp(const void *, const void *, size);
extern void *memcpy(void *, const void *, size);

enum { READ_WRITE = 0x1 | 0x2, PRIVATE_FIXED = 0x02 | 0x10 }; /* PROT_*, MAP_* */
enum { NORMAL = 0, DONTNEED = 4 };                            /* MADV_* */

/* Makes `file` at `offset` the origin of this private memory, which holds the same before and after. 0, or -1. */
int remember(char *start, size length, int file, long offset)
{
    if (pwrite(file, start, length, offset) != (long)length)
        return -1;
    return mmap(start, length, READ_WRITE, PRIVATE_FIXED, file, offset) == start ? 0 : -1;
}

/* Gives back the pages that hold what their `origin` holds; how many. -1 where some of it is not mapped any more.
   Nobody else may write to this memory meanwhile. What was mapped anew since is no copy of its origin: it is kept. */
long give_back(char *start, const char *origin, size length, size page)
{
    long given = 0;
    if (madvise(start, length, NORMAL) != 0)
        return -1;
    for (size at = 0; at < length; at += page) {
        size end = at;
        while (end < length && memcmp(start + end, origin + end, page) == 0)
            end += page;
        if (end > at && madvise(start + at, end - at, DONTNEED) != 0)
            return -1;
        for (; at < end; at += page, given++)
            if (memcmp(start + at, origin + at, page) != 0)
                memcpy(start + at, origin + at, page);
    }
    return given;
}

/* SPDX-License-Identifier: MIT */
/* Reads the ELF note `dlhost` of a plugin's file. The file is never mapped or executed: whatever it
 * holds, every offset and length is compared with what is there before it is used. Only the program
 * headers are followed, as the dynamic loader does, so a stripped file is as good as another. */
#include "plugin/note.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_SEGMENTS 64
#define MAX_NOTES (4u << 20) /* bytes of one segment of notes */
#define MAX_OPTIONS 256
#define MAX_RECORD (64u << 10)       /* bytes of a manifest or option of a later minor version */
#define MAX_OPTIONS_BYTES (1u << 20) /* of the option struct */

/* What every plugin must state; what follows may be missing and then counts as zero. */
#define MIN_MANIFEST offsetof (DlhManifest, version)
#define MIN_OPTION offsetof (DlhOption, unit)

#if defined __x86_64__
#define HOST_MACHINE EM_X86_64
#elif defined __aarch64__
#define HOST_MACHINE EM_AARCH64
#else
#error "Add the ELF machine number of this architecture"
#endif
G_STATIC_ASSERT (G_BYTE_ORDER == G_LITTLE_ENDIAN && sizeof (gpointer) == 8);

/* The bytes of a file, in memory or behind a descriptor. */
typedef struct {
    const guint8 *bytes; /* NULL: read from fd */
    int fd;
    guint64 size;
} Image;

G_GNUC_PRINTF (2, 3)
static gboolean
refuse (GError **error, const char *format, ...)
{
    va_list args;

    va_start (args, format);
    if (error)
        *error = g_error_new_valist (DLH_ERROR, DLH_ERROR_PLUGIN, format, args);
    va_end (args);
    return FALSE;
}

static gboolean
check_inside (const Image *image, guint64 at, guint64 n, GError **error)
{
    if (at <= image->size && n <= image->size - at)
        return TRUE;
    return refuse (error,
                   "is truncated: it has %" G_GUINT64_FORMAT
                   " bytes, its headers speak of %" G_GUINT64_FORMAT "; copy or build it again",
                   image->size, at <= G_MAXUINT64 - n ? at + n : G_MAXUINT64);
}

static gboolean
image_read (const Image *image, guint64 at, gsize n, gpointer out, GError **error)
{
    if (!check_inside (image, at, n, error))
        return FALSE;
    if (image->bytes) {
        memcpy (out, image->bytes + at, n);
        return TRUE;
    }
    for (gsize done = 0; done < n;) {
        gssize got = pread (image->fd, (guint8 *)out + done, n - done, (off_t)(at + done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return refuse (error, "cannot be read: %s", g_strerror (errno));
        if (got == 0)
            return refuse (error, "was cut short while being read");
        done += (gsize)got;
    }
    return TRUE;
}

static const char *
machine_name (guint machine)
{
    switch (machine) {
    case EM_X86_64:
        return "x86-64";
    case EM_386:
        return "32-bit x86";
    case EM_AARCH64:
        return "AArch64";
    case EM_ARM:
        return "32-bit ARM";
    case EM_RISCV:
        return "RISC-V";
    case EM_PPC64:
        return "64-bit POWER";
    case EM_S390:
        return "s390";
    default:
        return "another machine";
    }
}

static gboolean
looks_like_text (const guint8 *bytes, gsize n)
{
    for (gsize i = 0; i < n; i++)
        if (bytes[i] < ' ' && !g_ascii_isspace (bytes[i]))
            return FALSE;
    return TRUE;
}

/* The first bytes: is it an ELF file at all, and one for this machine? */
static gboolean
check_identity (const guint8 *bytes, gsize n, GError **error)
{
    guint16 machine;

    if (n == 0)
        return refuse (error, "is empty");
    if (n >= 8 && memcmp (bytes, "!<arch>\n", 8) == 0)
        return refuse (error, "is a static archive; link a plugin with -shared");
    if (memcmp (bytes, ELFMAG, MIN (n, SELFMAG)) != 0)
        return refuse (error, "is %s, not a shared object",
                       looks_like_text (bytes, n) ? "a text file" : "not an ELF file");
    if (n < sizeof (Elf64_Ehdr))
        return refuse (error, "is truncated: it ends within its ELF header");
    memcpy (&machine, bytes + offsetof (Elf64_Ehdr, e_machine), sizeof machine);
    if (bytes[EI_DATA] == ELFDATA2MSB)
        return refuse (error, "is built for a big-endian machine, this one is %s",
                       machine_name (HOST_MACHINE));
    if (bytes[EI_CLASS] == ELFCLASS32)
        return refuse (error, "is 32-bit (%s), this machine needs 64-bit %s",
                       machine_name (machine), machine_name (HOST_MACHINE));
    if (bytes[EI_CLASS] != ELFCLASS64 || bytes[EI_DATA] != ELFDATA2LSB ||
        bytes[EI_VERSION] != EV_CURRENT)
        return refuse (error, "has a damaged ELF header");
    if (machine != HOST_MACHINE)
        return refuse (error, "is built for %s (%u), this machine is %s", machine_name (machine),
                       machine, machine_name (HOST_MACHINE));
    return TRUE;
}

static gboolean
check_type (guint type, GError **error)
{
    switch (type) {
    case ET_DYN:
        return TRUE;
    case ET_EXEC:
        return refuse (error, "is a program, not a shared object");
    case ET_REL:
        return refuse (error, "is an object file; link a plugin with -shared");
    case ET_CORE:
        return refuse (error, "is a core dump, not a shared object");
    default:
        return refuse (error, "is of the unknown ELF type %u, not a shared object", type);
    }
}

static gboolean
read_segments (const Image *image, Elf64_Phdr *segments, guint *n, GError **error)
{
    guint8 head[sizeof (Elf64_Ehdr)] = {0};
    gsize have = MIN (sizeof head, image->size);
    Elf64_Ehdr h;

    if (!image_read (image, 0, have, head, error) || !check_identity (head, have, error))
        return FALSE;
    memcpy (&h, head, sizeof h);
    if (!check_type (h.e_type, error))
        return FALSE;
    if (h.e_phentsize != sizeof (Elf64_Phdr) || h.e_phnum == 0 || h.e_phnum > MAX_SEGMENTS)
        return refuse (error, "has a damaged ELF header: %u program headers of %u bytes", h.e_phnum,
                       h.e_phentsize);
    if (!image_read (image, h.e_phoff, h.e_phnum * sizeof *segments, segments, error))
        return FALSE;
    *n = h.e_phnum;
    // The section table is usually the end of the file and tells a partial copy; it may be absent.
    if (h.e_shoff && !check_inside (image, h.e_shoff, (guint64)h.e_shnum * h.e_shentsize, error))
        return FALSE;
    for (guint i = 0; i < *n; i++)
        if (segments[i].p_filesz &&
            !check_inside (image, segments[i].p_offset, segments[i].p_filesz, error))
            return FALSE;
    return TRUE;
}

static guint64
align_up (guint64 x, guint64 align)
{
    return (x + align - 1) & ~(align - 1);
}

typedef struct {
    guint8 *bytes; /* NULL: not found yet */
    gsize n;
    guint64 at; /* in the file */
} Descriptor;

/* Walks the records of one segment of notes: three words, the owner's name, the descriptor, both
 * padded. Takes a copy of the descriptor that is dlhost's. */
static gboolean
walk_notes (const guint8 *notes, gsize n, guint64 align, guint64 at, Descriptor *found,
            GError **error)
{
    for (guint64 pos = 0; pos < n && n - pos >= sizeof (Elf64_Nhdr);) {
        Elf64_Nhdr h;
        guint64 body;

        memcpy (&h, notes + pos, sizeof h);
        body = align_up (pos + sizeof h + h.n_namesz, align);
        if (body > n || h.n_descsz > n - body)
            return refuse (error,
                           "has damaged notes: record at byte %" G_GUINT64_FORMAT
                           " ends outside of its segment",
                           at + pos);
        if (h.n_type == DLH_NOTE_TYPE && h.n_namesz == sizeof DLH_NOTE_NAME &&
            memcmp (notes + pos + sizeof h, DLH_NOTE_NAME, sizeof DLH_NOTE_NAME) == 0 &&
            !(found->bytes && found->at == at + body)) {
            if (found->bytes)
                return refuse (error, "holds two dlhost notes; define one plugin a file");
            found->bytes = g_memdup2 (notes + body, h.n_descsz);
            if (!found->bytes)
                return refuse (error, "has an empty dlhost note");
            found->n = h.n_descsz;
            found->at = at + body;
        }
        pos = align_up (body + h.n_descsz, align);
    }
    return TRUE;
}

static gboolean
find_descriptor (const Image *image, Descriptor *found, GError **error)
{
    Elf64_Phdr segments[MAX_SEGMENTS];
    gboolean program = FALSE;
    guint n = 0;

    if (!read_segments (image, segments, &n, error))
        return FALSE;
    for (guint i = 0; i < n; i++) {
        const Elf64_Phdr *s = &segments[i];
        g_autofree guint8 *notes = NULL;

        program |= s->p_type == PT_INTERP;
        if (s->p_type != PT_NOTE || s->p_filesz == 0)
            continue;
        if (s->p_filesz > MAX_NOTES)
            return refuse (error, "has damaged notes: %" G_GUINT64_FORMAT " bytes of them",
                           (guint64)s->p_filesz);
        notes = g_malloc (s->p_filesz);
        if (!image_read (image, s->p_offset, s->p_filesz, notes, error) ||
            !walk_notes (notes, s->p_filesz, s->p_align >= 8 ? 8 : 4, s->p_offset, found, error))
            return FALSE;
    }
    if (found->bytes)
        return TRUE;
    if (program)
        return refuse (error, "is a program, not a plugin");
    return refuse (error,
                   "is a shared object, but no dlhost plugin: it has no note '.note.dlhost'");
}

static DlhNote *
parse_image (const Image *image, GError **error)
{
    Descriptor found = {0};
    DlhNote *note = NULL;

    if (find_descriptor (image, &found, error))
        note = dlh_note_check (found.bytes, found.n, error);
    g_free (found.bytes);
    return note;
}

DlhNote *
dlh_note_parse (const guint8 *bytes, gsize n, GError **error)
{
    Image image = {.bytes = bytes ? bytes : (const guint8 *)"", .fd = -1, .size = n};

    return parse_image (&image, error);
}

static gboolean
check_regular (const struct stat *st, GError **error)
{
    if (S_ISDIR (st->st_mode))
        return refuse (error, "is a directory");
    if (S_ISFIFO (st->st_mode))
        return refuse (error, "is a pipe, not a regular file");
    if (S_ISSOCK (st->st_mode))
        return refuse (error, "is a socket, not a regular file");
    if (!S_ISREG (st->st_mode))
        return refuse (error, "is a device, not a regular file");
    if (st->st_mode & S_IWOTH)
        return refuse (error, "can be written by everyone; run chmod o-w on it");
    return TRUE;
}

static gboolean
refuse_errno (const char *path, int code, GError **error)
{
    struct stat st;

    if (code == ELOOP)
        return refuse (error, "is a circle of symbolic links");
    if (code == ENOENT && lstat (path, &st) == 0)
        return refuse (error, "is a symbolic link to a file that is not there");
    if (code == ENOENT)
        return refuse (error, "no such file");
    return refuse (error, "cannot be read: %s", g_strerror (code));
}

DlhNote *
dlh_note_read (const char *path, GError **error)
{
    Image image = {0};
    DlhNote *note = NULL;
    struct stat st;

    // Asked before opening: to open a device may already do something.
    if (stat (path, &st) != 0) {
        refuse_errno (path, errno, error);
        return NULL;
    }
    if (!check_regular (&st, error))
        return NULL;
    image.fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (image.fd < 0) {
        refuse_errno (path, errno, error);
        return NULL;
    }
    if (fstat (image.fd, &st) != 0)
        refuse_errno (path, errno, error);
    else if (check_regular (&st, error)) {
        image.size = (guint64)st.st_size;
        note = parse_image (&image, error);
    }
    close (image.fd);
    return note;
}

static gboolean
check_text (const char *what, const char *field, gsize n, gboolean required, GError **error)
{
    const char *end = memchr (field, '\0', n);

    if (!end)
        return refuse (
            error, "has a damaged note: %s does not end within %" G_GSIZE_FORMAT " bytes", what, n);
    if (required && end == field)
        return refuse (error, "has a damaged note: %s is empty", what);
    if (!g_utf8_validate (field, end - field, NULL))
        return refuse (error, "has a damaged note: %s is not UTF-8", what);
    // A listing goes to a terminal: no plugin may send escape sequences to it.
    for (const char *p = field; p < end; p = g_utf8_next_char (p))
        if (g_unichar_iscntrl (g_utf8_get_char (p)))
            return refuse (error, "has a damaged note: %s holds control characters", what);
    return TRUE;
}

/* The words that stay where they are in every version, and what follows from them. */
static gboolean
check_sizes (const DlhManifest *m, gsize n, GError **error)
{
    if (m->abi_major < DLH_ABI_MAJOR)
        return refuse (error,
                       "is built for plugin interface %u, too old for this dlhost (%u.%u); "
                       "build it again",
                       m->abi_major, DLH_ABI_MAJOR, DLH_ABI_MINOR);
    if (m->abi_major > DLH_ABI_MAJOR)
        return refuse (error,
                       "is built for plugin interface %u, too new for this dlhost (%u.%u); "
                       "install a later dlhost",
                       m->abi_major, DLH_ABI_MAJOR, DLH_ABI_MINOR);
    if (m->abi_minor > DLH_ABI_MINOR)
        return refuse (error,
                       "is built for plugin interface %u.%u, newer than this dlhost's (%u.%u); "
                       "install a later dlhost or build it with these headers",
                       m->abi_major, m->abi_minor, DLH_ABI_MAJOR, DLH_ABI_MINOR);
    if (m->size < MIN_MANIFEST || m->size > MAX_RECORD)
        return refuse (error, "has a damaged note: a manifest of %u bytes", m->size);
    if (m->option_size < MIN_OPTION || m->option_size > MAX_RECORD)
        return refuse (error, "has a damaged note: options of %u bytes", m->option_size);
    if (m->n_options > MAX_OPTIONS)
        return refuse (error, "has %u options, more than %u", m->n_options, MAX_OPTIONS);
    if ((guint64)m->size + (guint64)m->n_options * m->option_size != n)
        return refuse (error, "has a damaged note: %" G_GSIZE_FORMAT " bytes for %u options", n,
                       m->n_options);
    if (m->options_bytes > MAX_OPTIONS_BYTES)
        return refuse (error, "has a damaged note: option values of %u bytes", m->options_bytes);
    return TRUE;
}

static gboolean
check_manifest (const DlhManifest *m, GError **error)
{
    if (!check_text ("the name", m->name, sizeof m->name, TRUE, error) ||
        !check_text ("the version", m->version, sizeof m->version, FALSE, error) ||
        !check_text ("the licence", m->licence, sizeof m->licence, FALSE, error) ||
        !check_text ("the paper", m->paper, sizeof m->paper, FALSE, error) ||
        !check_text ("the summary", m->summary, sizeof m->summary, FALSE, error))
        return FALSE;
    if (!dlh_name_valid (m->name))
        return refuse (error, "is named '%s'; a plugin's name has only a-z, 0-9, '_' and '-'",
                       m->name);
    if (m->kind < DLH_OPTIMIZER || m->kind > DLH_LAST_KIND)
        return refuse (error,
                       "is of kind %u (plugin interface %u.%u), unknown to this dlhost "
                       "(%u.%u)",
                       m->kind, m->abi_major, m->abi_minor, DLH_ABI_MAJOR, DLH_ABI_MINOR);
    return TRUE;
}

static gboolean
check_option (const DlhNote *note, guint i, GError **error)
{
    const DlhOption *o = &note->options[i];

    if (!check_text ("an option's name", o->name, sizeof o->name, TRUE, error) ||
        !check_text ("an option's default", o->preset, sizeof o->preset, FALSE, error) ||
        !check_text ("an option's choices", o->choices, sizeof o->choices, FALSE, error) ||
        !check_text ("an option's unit", o->unit, sizeof o->unit, FALSE, error) ||
        !check_text ("an option's text", o->doc, sizeof o->doc, FALSE, error) ||
        !dlh_option_check (o, note->manifest.options_bytes, error))
        return FALSE;
    for (guint j = 0; j < i; j++) {
        const DlhOption *p = &note->options[j];

        if (strcmp (o->name, p->name) == 0)
            return refuse (error, "has two options '%s'", o->name);
        if (o->offset < p->offset + p->size && p->offset < o->offset + o->size)
            return refuse (error, "has options '%s' and '%s' in one place", p->name, o->name);
    }
    return TRUE;
}

DlhNote *
dlh_note_check (const guint8 *descriptor, gsize n, GError **error)
{
    g_autoptr (DlhNote) note = g_new0 (DlhNote, 1);
    DlhManifest *m = &note->manifest;

    if (n < MIN_MANIFEST) {
        refuse (error, "has a damaged note: %" G_GSIZE_FORMAT " bytes", n);
        return NULL;
    }
    memcpy (m, descriptor, MIN_MANIFEST);
    if (!check_sizes (m, n, error))
        return NULL;
    memcpy (m, descriptor, MIN (m->size, sizeof *m));
    note->raw = g_memdup2 (descriptor, n);
    note->raw_size = n;
    note->options = g_new0 (DlhOption, m->n_options + 1);
    for (guint i = 0; i < m->n_options; i++)
        memcpy (&note->options[i], descriptor + m->size + (gsize)i * m->option_size,
                MIN (m->option_size, sizeof (DlhOption)));
    if (!check_manifest (m, error))
        return NULL;
    for (guint i = 0; i < m->n_options; i++)
        if (!check_option (note, i, error))
            return NULL;
    return g_steal_pointer (&note);
}

void
dlh_note_free (DlhNote *note)
{
    if (!note)
        return;
    g_free (note->options);
    g_free (note->raw);
    g_free (note);
}

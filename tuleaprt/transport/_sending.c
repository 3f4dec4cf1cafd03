/* send_all() of tuleaprt.transport.sending in C: the same arguments, the same result.

It saves what Python does around each system call. The interpreter's lock is kept, because none of these calls
blocks; so nothing can close a socket between two of them. */

#define PY_SSIZE_T_CLEAN
/* One file for all versions from 3.11 on. */
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <errno.h>
#include <sys/socket.h>

/* How many bytes the socket has taken. Errors take nothing: the next write to the socket meets them again. */
static Py_ssize_t
send_one(PyObject *sock, PyObject *frame)
{
    Py_ssize_t taken;
    /* It is asked for now, because the number of a closed socket may belong to another connection. */
    int descriptor = PyObject_AsFileDescriptor(sock);

    if (descriptor < 0) {
        PyErr_Clear();
        return 0;
    }
    do {
        taken = send(descriptor, PyBytes_AsString(frame), (size_t)PyBytes_Size(frame), MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (taken < 0 && errno == EINTR);
    return taken < 0 ? 0 : taken;
}

/* Whether these are a list of sockets, whatever they are, and a list of as many frames. */
static int
is_batch(PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 2 || !PyList_Check(arguments[0]) || !PyList_Check(arguments[1])
        || PyList_Size(arguments[0]) != PyList_Size(arguments[1])) {
        return 0;
    }
    for (Py_ssize_t index = 0; index < PyList_Size(arguments[1]); index++) {
        if (!PyBytes_Check(PyList_GetItem(arguments[1], index))) {
            return 0;
        }
    }
    return 1;
}

/* The entry (index, taken) in the list; -1: there is no memory. */
static int
append(PyObject *incomplete, Py_ssize_t index, Py_ssize_t taken)
{
    PyObject *entry = Py_BuildValue("(nn)", index, taken);
    int status = entry == NULL ? -1 : PyList_Append(incomplete, entry);

    Py_XDECREF(entry);
    return status;
}

static PyObject *
send_all(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    PyObject *incomplete;

    if (!is_batch(arguments, count)) {
        PyErr_SetString(PyExc_TypeError, "send_all() takes a list of sockets and a list of as many frames");
        return NULL;
    }
    incomplete = PyList_New(0);
    for (Py_ssize_t index = 0; incomplete != NULL && index < PyList_Size(arguments[1]); index++) {
        /* PyList_GetItem() checks the index, should a fileno() written in Python shorten a list. */
        PyObject *sock = Py_XNewRef(PyList_GetItem(arguments[0], index));
        PyObject *frame = Py_XNewRef(PyList_GetItem(arguments[1], index));
        int status = -1;

        if (sock != NULL && frame != NULL) {
            Py_ssize_t taken = send_one(sock, frame);
            status = taken < PyBytes_Size(frame) ? append(incomplete, index, taken) : 0;
        }
        Py_XDECREF(sock);
        Py_XDECREF(frame);
        if (status < 0) {
            Py_CLEAR(incomplete);
        }
    }
    return incomplete;
}

static PyMethodDef methods[] = {
    {"send_all", (PyCFunction)(void (*)(void))send_all, METH_FASTCALL,
     "send_all(sockets, frames)\n--\n\nSend each frame to its socket (tuleaprt.transport.sending)."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "tuleaprt.transport._sending",
    .m_size = 0,
    .m_methods = methods,
};

PyMODINIT_FUNC
PyInit__sending(void)
{
    return PyModuleDef_Init(&module);
}

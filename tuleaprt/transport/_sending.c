/* send_all() of tuleaprt.transport.sending in C: the same arguments, the same result.

It saves what Python does around each system call. The interpreter's lock is kept, because none of these calls
blocks; so nothing can close a socket between two of them. */

#define PY_SSIZE_T_CLEAN
/* One file for all versions from 3.11 on. */
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <errno.h>
#include <sys/socket.h>

/* The number of bytes that the socket has taken; -1: an exception is set. */
static Py_ssize_t
send_one(PyObject *sock, PyObject *frame)
{
    char *bytes;
    Py_ssize_t length, taken;
    int descriptor;

    if (PyBytes_AsStringAndSize(frame, &bytes, &length) < 0) {
        return -1;
    }
    /* It is asked for now, because the number of a closed socket may belong to another connection. */
    descriptor = PyObject_AsFileDescriptor(sock);
    if (descriptor < 0) {
        if (!PyErr_ExceptionMatches(PyExc_ValueError)) {
            return -1;
        }
        PyErr_Clear(); /* It is closed. */
        return 0;
    }
    do {
        taken = send(descriptor, bytes, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (taken < 0 && errno == EINTR);
    return taken < 0 ? 0 : taken;
}

static PyObject *
send_all(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    PyObject *sockets, *frames, *incomplete;
    Py_ssize_t index;

    if (count != 2 || !PyList_Check(arguments[0]) || !PyList_Check(arguments[1])
        || PyList_Size(arguments[0]) != PyList_Size(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "send_all() takes a list of sockets and a list of as many frames");
        return NULL;
    }
    sockets = arguments[0];
    frames = arguments[1];
    incomplete = PyList_New(0);
    for (index = 0; incomplete != NULL && index < PyList_Size(frames); index++) {
        /* PyList_GetItem() checks the index, should a fileno() written in Python shorten a list. */
        PyObject *sock = Py_XNewRef(PyList_GetItem(sockets, index));
        PyObject *frame = Py_XNewRef(PyList_GetItem(frames, index));
        Py_ssize_t taken = sock == NULL || frame == NULL ? -1 : send_one(sock, frame);

        if (taken >= 0 && taken < PyBytes_Size(frame)) {
            PyObject *entry = Py_BuildValue("(nn)", index, taken);

            if (entry == NULL || PyList_Append(incomplete, entry) < 0) {
                taken = -1;
            }
            Py_XDECREF(entry);
        }
        Py_XDECREF(sock);
        Py_XDECREF(frame);
        if (taken < 0) {
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

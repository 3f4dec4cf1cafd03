/** Listeners by name. */
export class Emitter {
  constructor() {
    this._listeners = new Map();
  }

  on(name, listener) {
    const listeners = this._listeners.get(name) ?? new Set();
    const entry = { listener };
    this._listeners.set(name, listeners.add(entry));
    return () => void listeners.delete(entry);
  }

  once(name, listener) {
    const off = this.on(name, (...values) => {
      off();
      return listener(...values);
    });
    return off;
  }

  /** Returns the listeners' results. An exception is a rejected promise, unhandled unless the caller awaits it. */
  _emit(name, ...values) {
    const call = ({ listener }) => {
      try {
        return listener(...values);
      } catch (error) {
        return Promise.reject(error);
      }
    };
    return [...(this._listeners.get(name) ?? [])].map(call);
  }
}

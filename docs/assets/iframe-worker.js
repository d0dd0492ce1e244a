// Search in pages that are opened as files: browsers start no workers there, so the worker runs in a hidden frame.
// The theme's worker looks for IFrameWorker, and for its own script in the frame.
window.IFrameWorker = class extends EventTarget {
  constructor(url) {
    super();
    this.url = url;
    this.frame = document.createElement("iframe");
    this.frame.hidden = true;
    document.body.appendChild(this.frame);
    this.ready = new Promise((resolve) => {
      const inside = this.frame.contentWindow;
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      const script = inside.document.createElement("script");
      script.src = url;
      script.onload = () => resolve(inside);
      script.onerror = () => console.error(`${url} cannot be loaded: there is no search`);
      inside.document.body.appendChild(script);
    });
  }
  // the scope of a worker gets an event with the data, as the window of the frame does here
  postMessage(data) {
    this.ready.then((inside) => inside.dispatchEvent(new MessageEvent("message", { data })));
  }
  terminate() {
    this.frame.remove();
  }
};
if (location.protocol === "file:") window.Worker = window.IFrameWorker;

// Where does a person read what a node reports? In the node itself, below its inputs.

import { app } from "../../../scripts/app.js";
import { ComfyWidgets } from "../../../scripts/widgets.js";

const NODES = ["TPUManualWarmup", "TPUCompilationCache", "TPUDeviceInfo"];
const NAME = "said";

/** The widget with a node's text, which is made when the node first has one. */
function textOf(node) {
  const made = node.widgets?.find((widget) => widget.name === NAME);
  if (made) return made;
  const { widget } = ComfyWidgets.STRING(node, NAME, ["STRING", { multiline: true }], app);
  const area = widget.inputEl ?? widget.element;
  if (area) area.readOnly = true;
  // The text is no input: neither the prompt nor a saved workflow has it.
  widget.serialize = false;
  widget.options.serialize = false;
  return widget;
}

app.registerExtension({
  name: "preheat.node_text",
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!NODES.includes(nodeData.name)) return;
    const before = nodeType.prototype.onExecuted;
    nodeType.prototype.onExecuted = function (output) {
      before?.call(this, output);
      if (!output?.text) return;
      textOf(this).value = [output.text].flat().join("\n");
      const [width, height] = this.computeSize();
      this.setSize([Math.max(this.size[0], width, 300), Math.max(this.size[1], height + 60)]);
      this.setDirtyCanvas(true, true);
    };
  },
});

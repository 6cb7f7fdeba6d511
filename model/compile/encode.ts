import { createRequire } from 'node:module';
import type { Attribute, ConstantValue, GraphNode } from './ir.ts';
import { indexOf, nodeOf } from './ir.ts';

/*
 * Writes nodes as a SavedModel, the only form in which tfjs-node takes a graph. The messages are those that tfjs-node
 * itself ships to read SavedModels; it has no types for them, so what is used of them is declared here.
 */

interface Message {
  serializeBinary(): Uint8Array;
}
interface MessageMap {
  set(key: string, value: Message): void;
}
interface NodeDef extends Message {
  setName(name: string): void;
  setOp(op: string): void;
  setInputList(inputs: string[]): void;
  getAttrMap(): MessageMap;
}
interface TensorShape extends Message {
  setDimList(dimensions: Message[]): void;
}
interface TensorMessage extends Message {
  setDtype(dtype: number): void;
  setTensorShape(shape: TensorShape): void;
  setTensorContent(bytes: Uint8Array): void;
}
interface ListValue extends Message {
  setIList(values: number[]): void;
  setTypeList(values: number[]): void;
}
interface AttrValue extends Message {
  setS(bytes: Uint8Array): void;
  setI(value: number): void;
  setF(value: number): void;
  setB(value: boolean): void;
  setType(value: number): void;
  setShape(value: TensorShape): void;
  setTensor(value: TensorMessage): void;
  setList(value: ListValue): void;
}
interface Messages {
  NodeDef: new () => NodeDef;
  AttrValue: (new () => AttrValue) & { ListValue: new () => ListValue };
  TensorShape: (new () => TensorShape) & { Dim: new () => Message & { setSize(size: number): void } };
  Tensor: new () => TensorMessage;
  GraphDef: new () => Message & { setNodeList(nodes: Message[]): void; setVersions(versions: Message): void };
  VersionDef: new () => Message & { setProducer(version: number): void };
  MetaGraphDef: (new () => Message & { setMetaInfoDef(info: Message): void; setGraphDef(graph: Message): void }) & {
    MetaInfoDef: new () => Message & { setTagsList(tags: string[]): void };
  };
  SavedModel: new () => Message & {
    setSavedModelSchemaVersion(version: number): void;
    setMetaGraphsList(graphs: Message[]): void;
  };
}

const messages: Messages = createRequire(import.meta.url)('@tensorflow/tfjs-node/dist/proto/api_pb.js');

/** The tag under which the graph is saved. */
export const TAG = 'serve';

/** A GraphDef's version: new enough for every operation that tfjs uses. */
const PRODUCER_VERSION = 2000;

export function encodeSavedModel(nodes: readonly GraphNode[]): Uint8Array {
  const versions = new messages.VersionDef();
  versions.setProducer(PRODUCER_VERSION);
  const graph = new messages.GraphDef();
  graph.setNodeList(nodes.map(encodeNode));
  graph.setVersions(versions);
  const info = new messages.MetaGraphDef.MetaInfoDef();
  info.setTagsList([TAG]);
  const meta = new messages.MetaGraphDef();
  meta.setMetaInfoDef(info);
  meta.setGraphDef(graph);
  const model = new messages.SavedModel();
  model.setSavedModelSchemaVersion(1);
  model.setMetaGraphsList([meta]);
  return model.serializeBinary();
}

function encodeNode({ name, op, inputs, after = [], attributes }: GraphNode): NodeDef {
  const node = new messages.NodeDef();
  node.setName(name);
  node.setOp(op);
  const data = inputs.map((input) => (indexOf(input) === 0 ? nodeOf(input) : input));
  node.setInputList([...data, ...after.map((before) => `^${before}`)]);
  for (const [key, attribute] of Object.entries(attributes)) node.getAttrMap().set(key, encodeAttribute(attribute));
  return node;
}

function encodeAttribute({ kind, value }: Attribute): AttrValue {
  const message = new messages.AttrValue();
  const list = new messages.AttrValue.ListValue();
  switch (kind) {
    case 'type':
      message.setType(value);
      break;
    case 'int':
      message.setI(value);
      break;
    case 'float':
      message.setF(value);
      break;
    case 'bool':
      message.setB(value);
      break;
    case 'string':
      message.setS(new TextEncoder().encode(value));
      break;
    case 'shape':
      message.setShape(encodeShape(value));
      break;
    case 'tensor':
      message.setTensor(encodeTensor(value));
      break;
    case 'ints':
      list.setIList([...value]);
      message.setList(list);
      break;
    case 'types':
      list.setTypeList([...value]);
      message.setList(list);
      break;
  }
  return message;
}

function encodeShape(dimensions: readonly number[]): TensorShape {
  const shape = new messages.TensorShape();
  shape.setDimList(
    dimensions.map((size) => {
      const dimension = new messages.TensorShape.Dim();
      dimension.setSize(size);
      return dimension;
    }),
  );
  return shape;
}

function encodeTensor({ dtype, shape, bytes }: ConstantValue): TensorMessage {
  const tensor = new messages.Tensor();
  tensor.setDtype(dtype);
  tensor.setTensorShape(encodeShape(shape));
  tensor.setTensorContent(bytes);
  return tensor;
}

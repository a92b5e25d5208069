//! A tiny model as an ONNX file, node by node as Hugging Face's exporter writes a BERT.

use std::collections::BTreeMap;

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

use crate::tiny::{POSITIONS, Tiny};

pub const FLOAT: i32 = 1;
const INT64: i32 = 7;

/// A graph that is being written; its methods return the name of the value they make.
struct Writer {
    graph: GraphProto,
    weights: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    tiny: Tiny,
}

/// The model as a file's content.
pub fn export(tiny: Tiny) -> ModelProto {
    let mut writer = Writer {
        graph: GraphProto::default(),
        weights: tiny.tensors(),
        tiny,
    };
    for name in ["input_ids", "attention_mask", "token_type_ids"] {
        let value = value(name, INT64, &["batch_size", "sequence_length"]);
        writer.graph.input.push(value);
    }
    let mask = writer.mask();
    let mut hidden = writer.embeddings();
    for layer in 0..tiny.layers {
        hidden = writer.layer(layer, &hidden, &mask);
    }
    let (output, axes): (_, &[&str]) = if tiny.with_head {
        (writer.head(&hidden), &["batch_size", "labels"])
    } else {
        (hidden, &["batch_size", "sequence_length", "hidden"])
    };
    writer.graph.output.push(value(&output, FLOAT, axes));
    ModelProto {
        ir_version: 8,
        producer_name: "pytorch".into(),
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: 14,
        }],
        graph: Some(writer.graph),
        ..ModelProto::default()
    }
}

pub fn value(name: &str, elem_type: i32, axes: &[&str]) -> ValueInfoProto {
    let dim = axes.iter().map(|axis| Dimension {
        denotation: String::new(),
        value: Some(dimension::Value::DimParam((*axis).into())),
    });
    let shape = Some(TensorShapeProto { dim: dim.collect() });
    let tensor = type_proto::Tensor { elem_type, shape };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        i,
        r#type: AttributeType::Int as i32,
        ..Default::default()
    }
}

fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        ints: ints.to_vec(),
        r#type: AttributeType::Ints as i32,
        ..Default::default()
    }
}

impl Writer {
    fn node(&mut self, name: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        let op = name.rsplit('/').next().unwrap();
        let output = format!("{name}_output_0");
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|i| (*i).into()).collect(),
            output: vec![output.clone()],
            name: name.into(),
            op_type: op.split('_').next().unwrap().into(),
            attribute: attributes,
            ..NodeProto::default()
        });
        output
    }

    fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        self.graph.initializer.push(TensorProto {
            name: name.into(),
            dims: shape.iter().map(|d| *d as i64).collect(),
            data_type: FLOAT,
            raw_data: values.iter().flat_map(|x| x.to_le_bytes()).collect(),
            ..TensorProto::default()
        });
        name.into()
    }

    fn integers(&mut self, name: &str, shape: &[usize], values: &[i64]) -> String {
        self.graph.initializer.push(TensorProto {
            name: name.into(),
            dims: shape.iter().map(|d| *d as i64).collect(),
            data_type: INT64,
            raw_data: values.iter().flat_map(|x| x.to_le_bytes()).collect(),
            ..TensorProto::default()
        });
        name.into()
    }

    fn weight(&mut self, name: &str) -> String {
        let (shape, values) = self.weights[name].clone();
        self.floats(name, &shape, &values)
    }

    /// The mask as (batch, 1, 1, n): 0 where there is a token, a very low number where not.
    fn mask(&mut self) -> String {
        let one = self.integers("axis_1", &[1], &[1]);
        let two = self.integers("axis_2", &[1], &[2]);
        let once = self.node("/bert/Unsqueeze", &["attention_mask", &one], vec![]);
        let twice = self.node("/bert/Unsqueeze_1", &[&once, &two], vec![]);
        let cast = self.node("/bert/Cast", &[&twice], vec![int("to", 1)]);
        let ones = self.floats("/bert/Constant_3", &[], &[1.0]);
        let inverse = self.node("/bert/Sub", &[&ones, &cast], vec![]);
        let low = self.floats("/bert/Constant_4", &[], &[f32::MIN]);
        self.node("/bert/Mul", &[&inverse, &low], vec![])
    }

    fn embeddings(&mut self) -> String {
        let (p, at) = (self.tiny.prefix, "/bert/embeddings");
        let table = |part: &str| format!("{p}embeddings.{part}_embeddings.weight");
        let words = self.weight(&table("word"));
        let words = self.node(
            &format!("{at}/word_embeddings/Gather"),
            &[&words, "input_ids"],
            vec![],
        );
        let types = self.weight(&table("token_type"));
        let types = self.node(
            &format!("{at}/token_type_embeddings/Gather"),
            &[&types, "token_type_ids"],
            vec![],
        );
        let sum = self.node(&format!("{at}/Add"), &[&words, &types], vec![]);
        let ids = self.positions();
        let places = self.weight(&table("position"));
        let places = self.node(
            &format!("{at}/position_embeddings/Gather"),
            &[&places, &ids],
            vec![],
        );
        let sum = self.node(&format!("{at}/Add_1"), &[&sum, &places], vec![]);
        self.norm(
            &format!("{at}/LayerNorm"),
            &format!("{p}embeddings.LayerNorm"),
            &sum,
        )
    }

    /// 0..n as (1, n), cut from a constant at the length of the input.
    fn positions(&mut self) -> String {
        let all: Vec<i64> = (0..POSITIONS as i64).collect();
        let all = self.integers("bert.embeddings.position_ids", &[1, POSITIONS], &all);
        let zero = self.integers("zero", &[1], &[0]);
        let axis = self.integers("slice_axis", &[1], &[1]);
        let index = self.integers("index_1", &[], &[1]);
        let shape = self.node("/bert/Shape", &["input_ids"], vec![]);
        let length = self.node("/bert/Gather", &[&shape, &index], vec![int("axis", 0)]);
        let length = self.node("/bert/Unsqueeze_2", &[&length, &zero], vec![]);
        self.node(
            "/bert/embeddings/Slice",
            &[&all, &zero, &length, &axis],
            vec![],
        )
    }

    fn norm(&mut self, at: &str, weights: &str, x: &str) -> String {
        let last = || vec![ints("axes", &[-1])];
        let mean = self.node(&format!("{at}/ReduceMean"), &[x], last());
        let off = self.node(&format!("{at}/Sub"), &[x, &mean], vec![]);
        let two = self.floats(&format!("{at}/Constant"), &[], &[2.0]);
        let square = self.node(&format!("{at}/Pow"), &[&off, &two], vec![]);
        let variance = self.node(&format!("{at}/ReduceMean_1"), &[&square], last());
        let eps = self.floats(&format!("{at}/Constant_1"), &[], &[1e-12]);
        let sum = self.node(&format!("{at}/Add"), &[&variance, &eps], vec![]);
        let root = self.node(&format!("{at}/Sqrt"), &[&sum], vec![]);
        let scaled = self.node(&format!("{at}/Div"), &[&off, &root], vec![]);
        let weight = self.weight(&format!("{weights}.weight"));
        let scaled = self.node(&format!("{at}/Mul"), &[&scaled, &weight], vec![]);
        let bias = self.weight(&format!("{weights}.bias"));
        self.node(&format!("{at}/Add_1"), &[&scaled, &bias], vec![])
    }

    /// A product with the transposed weight, which the exporter names by a number.
    fn dense(&mut self, at: &str, weights: &str, x: &str) -> String {
        let (shape, values) = self.weights[&format!("{weights}.weight")].clone();
        let (out, depth) = (shape[0], shape[1]);
        let transposed: Vec<f32> = (0..depth * out)
            .map(|i| values[i % out * depth + i / out])
            .collect();
        let name = format!("onnx::MatMul_{}", self.graph.node.len());
        let weight = self.floats(&name, &[depth, out], &transposed);
        let product = self.node(&format!("{at}/MatMul"), &[x, &weight], vec![]);
        let bias = self.weight(&format!("{weights}.bias"));
        self.node(&format!("{at}/Add"), &[&bias, &product], vec![])
    }

    fn layer(&mut self, layer: usize, x: &str, mask: &str) -> String {
        let at = format!("/bert/encoder/layer.{layer}");
        let weights = format!("{}encoder.layer.{layer}", self.tiny.prefix);
        let mixed = self.attention(
            &format!("{at}/attention/self"),
            &format!("{weights}.attention.self"),
            x,
            mask,
        );
        let (out, name) = (
            format!("{at}/attention/output"),
            format!("{weights}.attention.output"),
        );
        let mixed = self.dense(&format!("{out}/dense"), &format!("{name}.dense"), &mixed);
        let sum = self.node(&format!("{out}/Add"), &[&mixed, x], vec![]);
        let middle = self.norm(
            &format!("{out}/LayerNorm"),
            &format!("{name}.LayerNorm"),
            &sum,
        );
        let inner = self.dense(
            &format!("{at}/intermediate/dense"),
            &format!("{weights}.intermediate.dense"),
            &middle,
        );
        let inner = self.gelu(&format!("{at}/intermediate/intermediate_act_fn"), &inner);
        let down = self.dense(
            &format!("{at}/output/dense"),
            &format!("{weights}.output.dense"),
            &inner,
        );
        let sum = self.node(&format!("{at}/output/Add"), &[&down, &middle], vec![]);
        self.norm(
            &format!("{at}/output/LayerNorm"),
            &format!("{weights}.output.LayerNorm"),
            &sum,
        )
    }

    fn gelu(&mut self, at: &str, x: &str) -> String {
        let root = self.floats(&format!("{at}/Constant"), &[], &[std::f32::consts::SQRT_2]);
        let scaled = self.node(&format!("{at}/Div"), &[x, &root], vec![]);
        let erf = self.node(&format!("{at}/Erf"), &[&scaled], vec![]);
        let one = self.floats(&format!("{at}/Constant_1"), &[], &[1.0]);
        let sum = self.node(&format!("{at}/Add"), &[&erf, &one], vec![]);
        let product = self.node(&format!("{at}/Mul"), &[x, &sum], vec![]);
        let half = self.floats(&format!("{at}/Constant_2"), &[], &[0.5]);
        self.node(&format!("{at}/Mul_1"), &[&product, &half], vec![])
    }

    fn attention(&mut self, at: &str, weights: &str, x: &str, mask: &str) -> String {
        let (heads, size) = (self.tiny.heads, self.tiny.hidden / self.tiny.heads);
        let tail = [heads as i64, size as i64];
        let query = self.dense(&format!("{at}/query"), &format!("{weights}.query"), x);
        let key = self.dense(&format!("{at}/key"), &format!("{weights}.key"), x);
        let query = self.reshape(at, "", &query, &tail);
        let key = self.reshape(at, "_1", &key, &tail);
        let value = self.dense(&format!("{at}/value"), &format!("{weights}.value"), x);
        let value = self.reshape(at, "_2", &value, &tail);
        let perm = |axes: &[i64]| vec![ints("perm", axes)];
        let query = self.node(&format!("{at}/Transpose"), &[&query], perm(&[0, 2, 1, 3]));
        let value = self.node(&format!("{at}/Transpose_1"), &[&value], perm(&[0, 2, 1, 3]));
        let key = self.node(&format!("{at}/Transpose_2"), &[&key], perm(&[0, 2, 3, 1]));
        let scores = self.node(&format!("{at}/MatMul"), &[&query, &key], vec![]);
        let root = self.floats(&format!("{at}/Constant_9"), &[], &[(size as f32).sqrt()]);
        let scores = self.node(&format!("{at}/Div"), &[&scores, &root], vec![]);
        let scores = self.node(&format!("{at}/Add"), &[&scores, mask], vec![]);
        let shares = self.node(&format!("{at}/Softmax"), &[&scores], vec![int("axis", -1)]);
        let mixed = self.node(&format!("{at}/MatMul_1"), &[&shares, &value], vec![]);
        let mixed = self.node(&format!("{at}/Transpose_3"), &[&mixed], perm(&[0, 2, 1, 3]));
        self.reshape(at, "_3", &mixed, &[self.tiny.hidden as i64])
    }

    /// To (batch, n, `tail`...), with batch and n taken from the value at run time.
    fn reshape(&mut self, at: &str, mark: &str, x: &str, tail: &[i64]) -> String {
        let shape = self.node(&format!("{at}/Shape{mark}"), &[x], vec![]);
        let zero = self.integers(&format!("{at}/axis{mark}"), &[1], &[0]);
        let mut dims = Vec::new();
        for (i, axis) in ["b", "n"].iter().enumerate() {
            let index = self.integers(&format!("{at}/index{mark}{axis}"), &[], &[i as i64]);
            let dim = self.node(
                &format!("{at}/{axis}{mark}/Gather"),
                &[&shape, &index],
                vec![int("axis", 0)],
            );
            dims.push(self.node(
                &format!("{at}/{axis}{mark}/Unsqueeze"),
                &[&dim, &zero],
                vec![],
            ));
        }
        for (i, d) in tail.iter().enumerate() {
            dims.push(self.integers(&format!("{at}/tail{mark}{i}"), &[1], &[*d]));
        }
        let dims: Vec<&str> = dims.iter().map(String::as_str).collect();
        let target = self.node(&format!("{at}/Concat{mark}"), &dims, vec![int("axis", 0)]);
        self.node(&format!("{at}/Reshape{mark}"), &[x, &target], vec![])
    }

    fn head(&mut self, x: &str) -> String {
        let (pooler, transposed) = (format!("{}pooler.dense", self.tiny.prefix), || {
            vec![int("transB", 1)]
        });
        let index = self.integers("first", &[], &[0]);
        let first = self.node("/bert/pooler/Gather", &[x, &index], vec![int("axis", 1)]);
        let (weight, bias) = (
            self.weight(&format!("{pooler}.weight")),
            self.weight(&format!("{pooler}.bias")),
        );
        let pooled = self.node(
            "/bert/pooler/dense/Gemm",
            &[&first, &weight, &bias],
            transposed(),
        );
        let pooled = self.node("/bert/pooler/activation/Tanh", &[&pooled], vec![]);
        let (weight, bias) = (
            self.weight("classifier.weight"),
            self.weight("classifier.bias"),
        );
        self.node("/classifier/Gemm", &[&pooled, &weight, &bias], transposed())
    }
}
